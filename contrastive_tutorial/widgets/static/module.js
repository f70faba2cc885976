const widget = (function () {
/*MODULE*/
})();
const STATE = /*STATE*/;
export default {
  // What the page says of the widget goes before what was saved with it.
  render({ model, el }) {
    for (const [name, value] of Object.entries(STATE)) {
      if (model.get(name) === undefined) model.set(name, value);
    }
    return widget.render({ model, el });
  },
};
