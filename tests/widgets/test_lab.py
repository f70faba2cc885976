"""The lab: what is packed and refused, and that it trains in a browser that can reach nothing."""

import base64
import itertools
import json
import re
import sys
import time
import types
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from headless import opened
from scripts import node, state
from torch import nn

from contrastive_tutorial import norm
from contrastive_tutorial.errors import InputError
from contrastive_tutorial.records import load_records
from contrastive_tutorial.widgets import Lab, fragment
from contrastive_tutorial.widgets.continued import recipes
from contrastive_tutorial.widgets.lab import FIELDS, SIDES, questions

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "contrastive_tutorial" / "widgets" / "static" / "lab"
PATIENCE_MS = 120_000  # a busy machine is no failure
SHORT = {"steps": 12}


def content(lab):
    packed = state(lab)["packed"]
    letters = packed["letters"].translate(str.maketrans(",.:", "<>&"))
    whole = zlib.decompress(base64.b85decode(letters)[: packed["size"]])
    text, view, script, wasm = whole.split(b"\0", 3)
    assert wasm.startswith(b"\0asm")
    return json.loads(text) | {"view": view.decode(), "script": script.decode()}


def settings_of(**changes):
    return {field["name"]: field["value"] for field in FIELDS} | changes


# ---- what is packed ------------------------------------------------------------------------------


def test_the_page_is_light_and_asks_no_one_for_anything():
    lab = Lab()
    assert len(lab.html.encode()) <= 40_000
    everything = json.dumps(content(lab))
    assert not re.findall(r"https?://[^\s\"'`)]+", everything)
    for banned in ("import(", "importScripts", "require(", "eval(", "new Function", "fetch("):
        assert banned not in everything.replace("new Promise", "")


def test_where_no_script_runs_a_sentence_has_the_question_and_its_answer():
    for item in questions():
        lab = Lab(item["id"])
        assert item["question"] in lab.summary
        assert item["measured"] in lab.summary
        assert lab._repr_mimebundle_() == {"text/html": lab.html, "text/plain": lab.summary}
        assert [one["id"] for one in content(lab)["questions"]] == [item["id"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"question": "nope"}, "question: expected one of .* got 'nope'"),
        ({"a": {"K": 4}}, r"a\['K'\]: expected one of k, policy"),
        ({"b": {"norm": "gn"}}, r"b\['norm'\]: expected one of bn, split"),
        ({"b": {"norm": ["bn"]}}, r"b\['norm'\]: expected one of bn, split, .* got \['bn'\]"),
        ({"a": {"k": 2.5}}, r"a\['k'\]: expected a whole number from 1 to 128"),
        ({"a": {"n": True}}, r"a\['n'\]: expected a whole number"),
        ({"a": {"temperature": 0}}, r"a\['temperature'\]: expected a number from 0.01"),
        ({"b": {"lr": float("nan")}}, r"b\['lr'\]: expected a number"),
        ({"b": {"seed": "1"}}, r"b\['seed'\]: expected a whole number"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        Lab(**arguments)


def test_every_question_can_be_set_and_has_a_run_recorded_that_ends_where_its_seed_ended():
    for item in questions():
        assert item["a"] != item["b"]
        assert (len(item["options"]), len(item["sides"])) == (3, 2)
        Lab(a=item["a"], b=item["b"])
        steps, *sides = item["curve"]
        for side, curve, values in zip("ab", sides, item["values"], strict=True):
            assert steps == settings_of(**item[side])["steps"]
            assert len(curve) == len(sides[0]) >= 6
            assert curve[-1] == pytest.approx(100 * values[0], abs=0.51)


def test_only_a_page_of_the_book_links_the_recorded_results(monkeypatch):
    assert state(Lab())["records"] is None
    monkeypatch.setenv("CONTRASTIVE_TUTORIAL_BOOK", "1")
    target = state(Lab())["records"]
    assert (ROOT / "book" / target).with_suffix(".md").is_file()


def test_settings_can_be_changed_from_python():
    lab = Lab(a={"norm": "ghost", "k": 8}, b={"lr": 0.01})
    assert lab.settings["A"]["norm"] == "ghost"
    assert lab.settings["B"]["lr"] == 0.01
    assert set(lab.settings["A"]) == {field["name"] for field in FIELDS}
    assert state(lab)["settings"] == {"A": {"norm": "ghost", "k": 8}, "B": {"lr": 0.01}}


def test_with_a_kernel_the_settings_follow_the_reader(monkeypatch):
    import ipywidgets
    import traitlets

    class AnyWidget(ipywidgets.DOMWidget):
        _esm = traitlets.Unicode("").tag(sync=True)

        def _repr_mimebundle_(self):
            return {"application/vnd.jupyter.widget-view+json": {}}, {}

    monkeypatch.setitem(sys.modules, "anywidget", types.SimpleNamespace(AnyWidget=AnyWidget))
    monkeypatch.setattr("contrastive_tutorial.widgets.interaction.is_live", lambda: True)
    lab = Lab()
    assert not state(lab)["address"]
    bundle = lab._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"] == lab.html
    lab._widget.settings = {"A": settings_of(k=2), "B": settings_of(k=8)}
    assert (lab.settings["A"]["k"], lab.settings["B"]["k"]) == (2, 8)
    assert lab.experiment("B").num_subsets == 8


# ---- the engine and the page agree ---------------------------------------------------------------


def answer(script):
    """What the last expression of a script is."""
    whole = f"process.stdout.write(JSON.stringify(eval({json.dumps(script)})))"
    return node("-", given=whole)


@pytest.mark.parametrize(
    ("policy", "colours"),
    [("shared", "random"), ("shared", "kept"), ("subset", "random"), ("blur", "random")],
)
def test_recipes_are_those_of_the_page(policy, colours):
    given = settings_of(k=4, policy=policy, colours=colours, strength=0.5)
    own = recipes(given)
    model = (STATIC / "model.js").read_text(encoding="utf-8")
    model = model[: model.index("// Memory")] + "return recipe; })()"
    draw = f"""{model.replace("var Lab =", "const recipe =")};
      [0, 1, 2, 3].map((own) => Array.from({{length: 2000}}, () =>
        recipe({json.dumps(given)}, own, Math.random)))"""
    drawn = np.array(answer(draw))  # (subsets, draws, numbers)
    for subset, numbers in enumerate(drawn):
        policy = own[subset % len(own)]
        area = numbers[:, 2] * numbers[:, 3] / 32**2
        assert policy.scale[0] - 0.02 < area.min() < policy.scale[0] + 0.02
        assert numbers[:, 4].mean() == pytest.approx(policy.flip, abs=0.06)
        ranges = (policy.brightness, policy.contrast, policy.saturation, policy.hue)
        for column, (low, high) in enumerate(ranges, 5):
            assert numbers[:, column].min() == pytest.approx(low, abs=0.02)
            assert numbers[:, column].max() == pytest.approx(high, abs=0.02)
        assert numbers[:, 13].mean() == pytest.approx(policy.grayscale, abs=0.06)
        assert numbers[:, 14] == pytest.approx(policy.shift)
        assert numbers[:, 15] == pytest.approx(policy.sigma[1] if policy.blur else 0.0)


def test_the_engine_and_the_page_agree_on_the_settings():
    inside = content(Lab())["script"]
    whole = [  # every end of every range, and every choice; N = 256 divides by every K
        {field["name"]: value} | ({"n": 256} if field["name"] == "k" else {})
        for field in FIELDS
        for value in field.get("choices") or field["range"]
    ]
    asked = [item[side] for item, side in itertools.product(questions(), "ab")]
    model = inside[: inside.index("if (typeof module")]
    usual, *found = answer(f"{model}; {json.dumps([{}, *whole, *asked])}.map(Lab.check)")
    assert usual | settings_of() == usual
    for given, complete in zip([*whole, *asked], found, strict=True):
        assert complete | given == complete


# ---- the same setting in PyTorch -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bn", "split", "ghost", "renorm", "none"])
def test_a_setting_trains_on_in_pytorch(kind):
    given = {"k": 4, "norm": kind, "policy": "subset", "n": 16, "steps": 3, "seed": 5}
    experiment = Lab(a=given).experiment("A")
    kinds = {
        "bn": nn.BatchNorm2d, "split": norm.SplitBatchNorm2d, "ghost": norm.GhostBatchNorm2d,
        "renorm": norm.BatchRenorm2d, "none": norm.NoNorm,
    }  # fmt: skip
    layers = [m for m in experiment.model.modules() if isinstance(m, kinds[kind])]
    assert len(layers) >= 2
    weights = sum(p.numel() for p in experiment.model.parameters())
    assert weights == (9_328 if kind != "none" else 9_328 - 2 * (16 + 32))
    views = experiment.views(0, torch.Generator().manual_seed(0))
    assert views.shape == (32, 3, 32, 32)
    means = views.reshape(4, -1).mean(1)  # a brightness of its own for every subset
    assert (means.diff() > 0.02).all()
    assert len(experiment.train(progress=False).losses) == 3


def test_a_setting_that_cannot_be_trained_is_refused_there_too():
    with pytest.raises(InputError, match="side: expected one of"):
        Lab().experiment("C")
    with pytest.raises(InputError, match="64"):
        Lab(a={"k": 5}).experiment("A")


# ---- alive ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Lab().save_html(tmp_path_factory.mktemp("lab") / "lab.html")


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    lab = Lab(a=SHORT, b=SHORT | {"norm": "split"})
    return lab.save_html(tmp_path_factory.mktemp("lab") / "short.html")


def button(tab, name):
    return tab.get_by_role("button", name=name, exact=True)


def field(tab, side, name):
    return tab.locator(f"#{side}-{name}")


def ready(tab):
    for side in SIDES:
        tab.locator(".side", has_text=f"{side}: ").get_by_text("ready:").wait_for(
            timeout=PATIENCE_MS
        )


def said(tab, words):
    tab.locator("[role=status]", has_text=words).first.wait_for(
        state="attached", timeout=PATIENCE_MS
    )


def steps(tab):
    """The step at which each side stands."""
    texts = tab.locator(".side").all_inner_texts()
    return [int(found[1]) if (found := re.search(r"step (\d+) ·", text)) else 0 for text in texts]


def reloaded(tab, script):
    """The page again, after a script that takes something from it."""
    tab.add_init_script(script)
    tab.reload()


@pytest.mark.browser
def test_the_default_question_is_trained_to_its_answer(whole):
    question = questions()[0]
    with opened(whole, viewport={"width": 1000, "height": 900}) as tab:
        ready(tab)
        right = question["options"][question["answer"]]
        tab.get_by_role("radio", name=right).check()
        button(tab, "Train").click()
        said(tab, "Training.")
        button(tab, "Train again").wait_for(timeout=PATIENCE_MS)
        verdict = tab.locator(".verdict").inner_text()
        assert f"So here: {right}" in verdict
        assert "That was your guess." in verdict
        assert "One seed is an anecdote." in verdict
        assert question["why"] in verdict
        assert question["measured"] in verdict
        assert all(step > 20 for step in steps(tab))


# The first worker's minute is over at step 3 and the second's at step 6.
SLOW = """
let started = 0;
const Real = window.Blob;
window.Blob = class extends Real {
  constructor(parts, options) {
    super(options?.type === "text/javascript" ? parts.map((part) =>
      part.replace("run.spent > LIMIT", `state.step >= ${(started += 1) * 3}`)) : parts, options);
  }
};
"""


@pytest.mark.browser
def test_sides_of_unequal_steps_are_not_compared(whole):
    question = questions()[0]
    with opened(whole) as tab:
        reloaded(tab, SLOW)
        ready(tab)
        button(tab, "Train").click()
        button(tab, "Train again").wait_for(timeout=PATIENCE_MS)
        assert steps(tab) == [3, 6]
        verdict = tab.locator(".verdict").inner_text()
        assert "A ended at step 3 and B at step 6" in verdict
        assert "So here" not in verdict
        assert question["measured"] in verdict


@pytest.mark.browser
def test_train_pause_step_and_reset(whole):
    with opened(whole) as tab:
        ready(tab)
        button(tab, "One step").click()
        stands_at(tab, "1")
        assert steps(tab) == [1, 1]
        button(tab, "Resume").click()
        stands_at(tab, r"\d\d+")
        button(tab, "Pause").click()
        tab.wait_for_timeout(300)
        stopped = steps(tab)
        tab.wait_for_timeout(500)
        assert steps(tab) == stopped
        button(tab, "Reset").click()
        ready(tab)
        assert steps(tab) == [0, 0]
        before = field(tab, "A", "seed").input_value()
        button(tab, "New seed").click()
        assert field(tab, "A", "seed").input_value() != before
        assert field(tab, "A", "seed").input_value() == field(tab, "B", "seed").input_value()


def stands_at(tab, step):
    """Wait until both sides have done a number of steps, as a regular expression."""
    tab.wait_for_function(
        "([lab, step]) => [...lab.querySelectorAll('.side')].every((side) =>"
        " new RegExp(`step ${step} ·`).test(side.textContent))",
        arg=[root(tab), step],
        timeout=PATIENCE_MS,
    )


def root(tab):
    return tab.evaluate_handle("document.querySelector('.ct-widget > div').shadowRoot")


@pytest.mark.browser
def test_a_value_that_cannot_be_is_named_at_its_field(whole):
    with opened(whole) as tab:
        ready(tab)
        tab.get_by_text("All settings").click()
        for wrong in ("k=5", "n=2", "temperature=0", "lr=-1", "seed=", "k=many"):
            name, value = wrong.split("=")
            good = field(tab, "A", name).input_value()
            field(tab, "A", name).fill(value)
            field(tab, "A", name).press("Tab")
            tab.locator(f"#A-{name}[aria-invalid=true]").wait_for(timeout=PATIENCE_MS)
            said(tab, f"A: {name}")
            assert field(tab, "A", name).input_value() == value
            button(tab, "Train").click()
            tab.wait_for_timeout(300)
            assert button(tab, "Train").count() == 1
            assert steps(tab) == [0, 0]
            field(tab, "A", name).fill(good)
            field(tab, "A", name).press("Tab")
            ready(tab)
            assert tab.locator("[aria-invalid=true]").count() == 0


@pytest.mark.browser
def test_a_run_that_diverges_says_at_which_step(short):
    with opened(short) as tab:
        ready(tab)
        tab.get_by_text("All settings").click()
        field(tab, "B", "lr").fill("1e6")
        field(tab, "B", "lr").press("Tab")
        ready(tab)
        button(tab, "Train").click()
        button(tab, "Train again").wait_for(timeout=PATIENCE_MS)
        first, second = tab.locator(".side").all_inner_texts()
        assert "done" in first
        assert re.search(r"Diverged at step \d+", second)


@pytest.mark.browser
def test_nonsense_in_a_link_is_named_and_left_out(whole):
    with opened(whole) as tab:
        ready(tab)
        tab.evaluate(
            "location.hash = '#lab?question=nope&A.k=seven&A.norm=toString&__proto__.n=8"
            "&B.lr=0.01&A.seed=7'"
        )
        said(tab, "question=nope, A.k=seven, A.norm=toString, __proto__.n=8")
        assert tab.evaluate("({}).n === undefined")
        assert field(tab, "B", "lr").input_value() == "0.01"
        assert field(tab, "A", "seed").input_value() == "7"
        ready(tab)


@pytest.mark.browser
def test_a_copied_link_leads_back_to_the_setting(whole):
    with opened(whole) as tab:
        ready(tab)
        tab.get_by_label("Question").select_option(index=1)
        tab.get_by_text("All settings").click()
        field(tab, "A", "norm").select_option("renorm")
        field(tab, "B", "seed").fill("42")
        field(tab, "B", "seed").press("Tab")
        tab.get_by_text("Take it home").click()
        button(tab, "Copy link").click()
        link = tab.get_by_label("Link to this setting").input_value()
        assert "#lab?" in link
        tab.goto("about:blank")
        tab.goto(link)
        ready(tab)
        assert field(tab, "A", "norm").input_value() == "renorm"
        assert field(tab, "B", "seed").input_value() == "42"
        assert tab.get_by_label("Question").evaluate("node => node.selectedIndex") == 1


@pytest.mark.browser
def test_a_run_is_saved_as_a_record(short, tmp_path):
    with opened(short) as tab:
        ready(tab)
        tab.get_by_text("Take it home").click()
        button(tab, "Save run A as JSON").click()
        said(tab, "nothing to save")
        button(tab, "One step").click()
        stands_at(tab, "1")
        with tab.expect_download() as download:  # under way: the run ends with it
            button(tab, "Save run B as JSON").click()
        download.value.save_as(tmp_path / download.value.suggested_filename)
        (record,) = load_records(tmp_path)
        assert (record.seed, record.data) == (0, "shapes")
        assert len(record.loss_curve) == 1
        assert 0 <= record.metrics["knn10"] <= 1


KEEP_WORKERS = """
window.kept = [];
const Real = window.Worker;
window.Worker = class extends Real {
  constructor(...all) {
    super(...all);
    this.answers = 0;
    this.addEventListener("message", () => { this.answers += 1; });
    window.kept.push(this);
  }
};
"""


@pytest.mark.browser
def test_a_worker_that_is_killed_is_noticed_and_replaced(whole):
    with opened(whole) as tab:
        tab.clock.install()
        reloaded(tab, KEEP_WORKERS)
        for _ in range(3):  # a new start takes no new worker
            ready_by_clock(tab)
            button(tab, "Reset").click()
        assert tab.evaluate("kept.length") == 2
        ready_by_clock(tab)
        button(tab, "Train").click()
        tab.evaluate("kept[0].terminate()")
        killed = tab.locator(".side").first
        for _ in range(40):
            # The page's clock is ours, the worker's is not: the one alive has to be heard first.
            heard = tab.evaluate("kept[1].answers")
            tab.clock.run_for(500)
            if "No answer for ten seconds" in killed.inner_text():
                break
            for _ in range(500):
                if tab.evaluate("kept[1].answers") > heard:
                    break
                time.sleep(0.01)
        assert "No answer for ten seconds" in killed.inner_text()
        button(tab, "Reset").click()
        ready_by_clock(tab)
        assert tab.evaluate("kept.length") == 3


def ready_by_clock(tab):
    for _ in range(1000):
        tab.clock.run_for(300)
        if all("ready:" in text for text in tab.locator(".side").all_inner_texts()):
            return
        tab.evaluate("1")
    raise AssertionError("the lab did not get ready")


# A worker's engine says how large its memory is.
KEEP_ENGINES = """
const Real = window.Blob;
window.Blob = class extends Real {
  constructor(parts, options) {
    super(options?.type === "text/javascript" ? [`{
      const Instance = WebAssembly.Instance;
      WebAssembly.Instance = function (...all) {
        const made = new Instance(...all);
        self.engine = made.exports.memory;
        return made;
      };
    }`, ...parts] : parts, options);
  }
};
"""


@pytest.mark.browser
def test_six_starts_take_no_more_memory_than_two(tmp_path):
    """``benchmarks/lab_page.py`` has fifty."""
    once = {"steps": 1}
    with opened(Lab(a=once, b=once).save_html(tmp_path / "once.html")) as tab:
        reloaded(tab, KEEP_ENGINES)
        ready(tab)
        session = tab.context.new_cdp_session(tab)
        engines, heaps = [], []
        for start in range(6):
            button(tab, "Train again" if start else "Train").click()
            said(tab, "Both runs have ended.")
            if start not in (1, 5):
                continue
            assert len(tab.workers) == 2
            engines.append([w.evaluate("self.engine.buffer.byteLength") for w in tab.workers])
            session.send("HeapProfiler.collectGarbage")
            heaps.append(session.send("Runtime.getHeapUsage")["usedSize"])
        assert engines[0] == engines[1]
        assert heaps[1] < heaps[0] + 500_000
        assert sum(engines[1]) + heaps[1] < 60e6


@pytest.mark.browser
def test_a_page_out_of_sight_stops(whole):
    with opened(whole) as tab:
        ready(tab)
        button(tab, "Train").click()
        stands_at(tab, r"\d+")
        tab.evaluate(
            "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        said(tab, "Paused, because the page was hidden.")
        tab.wait_for_timeout(300)
        stopped = steps(tab)
        tab.wait_for_timeout(300)
        assert steps(tab) == stopped
        button(tab, "Resume").wait_for()


# Two lines with more than one point, and what they end at.
DRAWN = """([lab, ends]) => {
  const asked = lab.querySelector("figure.asked");
  const lines = [...asked.querySelectorAll("path")].filter((path) => /L/.test(path.outerHTML));
  const numbers = [...asked.querySelectorAll("b")].map((node) => node.textContent);
  return lines.length === 2 && String(numbers) === String(ends);
}"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("delete window.WebAssembly", "lacks WebAssembly,"),
        ("WebAssembly.validate = () => false", "lacks WebAssembly with SIMD"),
        ("delete window.Worker", "lacks workers"),
    ],
)
def test_without_an_engine_the_recorded_answer_is_there(whole, script, words):
    with opened(whole) as tab:
        reloaded(tab, script)
        said(tab, words)
        said(tab, questions()[0]["measured"])
        assert button(tab, "Train").is_disabled()
        assert field(tab, "A", "k").is_disabled()
        for at, item in enumerate(questions() if "SIMD" in words else questions()[:1]):
            tab.get_by_label("Question").select_option(index=at)
            said(tab, item["measured"])
            ends = [f"{values[-1] / 100:.2f}" for values in item["curve"][1:]]
            tab.wait_for_function(DRAWN, arg=[root(tab), ends], timeout=PATIENCE_MS)
            assert f"steps 0 to {item['curve'][0]}" in tab.locator(".lab").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_where_nothing_can_be_unpacked_the_recorded_answer_is_there(whole, javascript):
    with opened(whole, java_script_enabled=javascript) as tab:
        if javascript:
            reloaded(tab, "delete window.DecompressionStream")
            tab.get_by_text("cannot unpack").wait_for(timeout=PATIENCE_MS)
        assert questions()[0]["measured"] in tab.locator("main").inner_text()


@pytest.mark.browser
def test_the_keyboard_does_everything(short):
    def here(tab):
        return tab.evaluate(
            "(() => { const node = document.activeElement.shadowRoot?.activeElement;"
            " return node ? node.id || node.textContent || node.type : '' })()"
        )

    with opened(short, reduced_motion="reduce") as tab:
        ready(tab)
        reached = []
        for _ in range(14):
            tab.keyboard.press("Tab")
            reached.append(here(tab))
        for stop in ("question", "radio", "Train", "One step", "Reset", "New seed", "by"):
            assert stop in reached
        for stop in ("All settings", "Take it home"):
            assert stop in reached
        tab.get_by_role("radio").first.focus()
        tab.keyboard.press("ArrowDown")
        assert tab.get_by_role("radio").nth(1).is_checked()
        button(tab, "Train").focus()
        tab.keyboard.press("Enter")
        button(tab, "Train again").wait_for(timeout=PATIENCE_MS)
        assert here(tab) == "Train again"
        for canvas in tab.locator("canvas.map").all():
            assert "step 12" in canvas.get_attribute("aria-label")
        for chart in tab.locator("figure").all():
            assert re.search(r": A [-\d.–]+.*, B [-\d.–]+", chart.get_attribute("aria-label"))


@pytest.mark.browser
def test_calm_pages_are_drawn_at_most_once_a_second(whole):
    with opened(whole, reduced_motion="reduce") as tab:
        ready(tab)
        button(tab, "Train").click()
        stands_at(tab, r"\d+")
        gaps = tab.evaluate(
            """lab => new Promise((done) => {
              const times = [], watch = new MutationObserver(() => {
                times.push(performance.now());
                if (times.length === 3) done(times.slice(1).map((time, i) => time - times[i]));
              });
              watch.observe(lab.querySelector(".plot"), { childList: true });
            })""",
            root(tab),
        )
        assert min(gaps) >= 990


@pytest.mark.browser
def test_the_same_file_is_an_anywidget_that_tells_the_kernel(tmp_path):
    lab = Lab(a=SHORT, b=SHORT)
    (tmp_path / "empty.html").write_text("<!doctype html><title>notebook</title><body></body>")
    module = base64.b64encode(fragment.module_source("lab/lab").encode()).decode()
    with opened(tmp_path / "empty.html") as tab:
        tab.evaluate(
            """async ([module, state]) => {
              const { default: widget } = await import(`data:text/javascript;base64,${module}`);
              window.sent = [];
              const model = { get: (name) => state[name], on() {}, off() {},
                set(name, value) { state[name] = value; },
                save_changes() { sent.push(JSON.stringify(state.settings)); } };
              const el = document.body.appendChild(document.createElement("div"));
              window.close = widget.render({ model, el });
            }""",
            [module, state(lab) | {"address": False}],
        )
        ready(tab)
        assert button(tab, "Copy link").count() == 0
        tab.get_by_text("All settings").click()
        field(tab, "B", "norm").select_option("ghost")
        told = json.loads(tab.evaluate("sent.at(-1)"))
        assert told["A"] == lab.settings["A"]
        assert told["B"] == lab.settings["B"] | {"norm": "ghost"}
        ready(tab)
        tab.evaluate("window.close()")  # what a front end calls when the output goes


@pytest.mark.browser
def test_themes_and_narrow_pages(short):
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    with opened(short, color_scheme="light", viewport={"width": 320, "height": 800}) as tab:
        ready(tab)
        button(tab, "Train").click()
        button(tab, "Train again").wait_for(timeout=PATIENCE_MS)
        tab.get_by_text("All settings").click()
        tab.get_by_text("Take it home").click()
        for width in (320, 390, 768, 1280):
            tab.set_viewport_size({"width": width, "height": 800})
            assert tab.evaluate(overflow) <= 0, width
        light = tab.locator(".lab").screenshot()
        assert tab.locator(".lab").get_attribute("data-theme") == "light"
        tab.evaluate("document.documentElement.dataset.theme = 'dark'")
        tab.locator(".lab[data-theme=dark]").wait_for()
        assert tab.locator(".lab").screenshot() != light
