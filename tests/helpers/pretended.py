"""A pretended accelerator, for tests of code that moves tensors between devices.

Inside :func:`accelerator` a tensor on the device ``DEVICE`` wraps one in the memory of the host and
computes there, but behaves as on a GPU: an operation that mixes it with a tensor of the host
raises, a random generator belongs to one of the two, and numpy does not read it. So a whole run
can be compared with the same run on a CPU, where no GPU is at hand.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from contrastive_tutorial.augment import params

#: torch has no kernels for it, and runs autograd of such tensors without a driver.
DEVICE = torch.device("meta")
_HOST = torch.device("cpu")
_TAKES_INDICES_OF_THE_HOST = {"index", "index_put", "index_put_", "_index_put_impl_"}
_MOVES = {"copy_", "_to_copy"}
_GIVES_A_NUMBER = {"_local_scalar_dense", "equal"}


class MixedDevicesError(RuntimeError):
    """What torch raises on a GPU: tensors are expected on one device."""


class There(torch.Tensor):
    """A tensor that says it is on ``DEVICE``; ``inner`` holds its values."""

    @staticmethod
    def __new__(cls, inner):
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=DEVICE,
        )  # fmt: skip
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def __repr__(self):
        return f"There({self.inner})"


def values(tensor):
    """The values of a tensor, wherever it is."""
    return tensor.inner if isinstance(tensor, There) else tensor


def _tensors(arguments):
    """Those among the arguments of an operation; torch's own walk over trees takes ten times it."""
    found = []
    for one in arguments:
        if isinstance(one, torch.Tensor):
            found.append(one)
        elif isinstance(one, (list, tuple)):
            found += _tensors(one)
    return found


def _swapped(one, swap):
    """An argument or a result with ``swap`` of every tensor in it."""
    if isinstance(one, torch.Tensor):
        return swap(one)
    return type(one)(_swapped(x, swap) for x in one) if isinstance(one, (list, tuple)) else one


def _run(func, args, kwargs):
    name = func._schema.name.split("::")[1]
    tensors = _tensors((*args, *kwargs.values()))
    there = [tensor for tensor in tensors if isinstance(tensor, There)]
    if there and name not in _MOVES:
        foreign = [t for t in tensors if not isinstance(t, There) and t.ndim]
        if name in _TAKES_INDICES_OF_THE_HOST and isinstance(args[0], There):
            foreign = [t for t in foreign if t.dtype not in (torch.int64, torch.bool)]
        if foreign:
            raise MixedDevicesError(f"{func}: {[tuple(t.shape) for t in foreign]} is on the host")
    goes_there = bool(there) and name not in _GIVES_A_NUMBER
    if name == "copy_":
        goes_there = isinstance(args[0], There)
    if kwargs.get("device") is not None:
        goes_there = torch.device(kwargs["device"]) == DEVICE
        kwargs = {**kwargs, "device": _HOST}
    if there:
        args = _swapped(args, values)
        kwargs = {key: _swapped(value, values) for key, value in kwargs.items()}
    result = func(*args, **kwargs)
    # What changed in place stays the tensor it was.
    same = {id(values(tensor)): tensor for tensor in tensors}

    def wrap(leaf):
        return same[id(leaf)] if id(leaf) in same else There(leaf) if goes_there else leaf

    return _swapped(result, wrap)


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """What C++ answers before it dispatches."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in ("numpy", "__array__") and isinstance(args[0], There):
            raise MixedDevicesError("numpy cannot read a tensor of the device: use .cpu()")
        if name == "tolist" and isinstance(args[0], There):
            return args[0].inner.tolist()
        if name == "pin_memory":
            return args[0]
        kwargs = dict(kwargs or {})
        device = torch.device(kwargs.get("device") or "cpu")
        if func in (torch.tensor, torch.as_tensor) and device == DEVICE:
            del kwargs["device"]
            return func(*args, **kwargs).to(DEVICE)
        generator = kwargs.get("generator")
        if generator is not None and "device" in kwargs and device != generator.device:
            raise MixedDevicesError(f"{name}: the generator is on {generator.device}")
        return func(*args, **kwargs)


class _Generator(torch._C.Generator):
    """A generator of the host that knows where it is to be used."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls)
        made.place = torch.device(device)
        return made

    def __init__(self, device="cpu"):
        pass

    @property
    def device(self):
        return self.place


class _Autocast(torch.autocast):
    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu" if device_type == DEVICE.type else device_type, *args, **kwargs)


@contextmanager
def accelerator():
    """Tensors made on ``DEVICE`` have values inside this block."""
    forget = params._kept_constants.cache_clear  # made once a process and device
    with ExitStack() as stack:
        forget()
        stack.callback(forget)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(torch, "Generator", _Generator)
        patch.setattr(torch, "autocast", _Autocast)
        before = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, before)
        stack.enter_context(_Dispatch())
        stack.enter_context(_Functions())
        yield DEVICE
