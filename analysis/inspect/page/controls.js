// The choosers above the text, and the legend.

class Controls {
  constructor(page) {
    this.page = page;
    this.signal = byId('signal');
    this.layer = byId('layer');
    this.head = byId('head');
    this.policy = byId('policy');
    this.against = byId('against');
    this.legend = byId('legend');
    this.signal.addEventListener('change', () => page.setSignal(this.signal.value));
    this.layer.addEventListener('input', () => page.setView({layer: Number(this.layer.value)}));
    this.head.addEventListener('change', () => page.setView({head: Number(this.head.value)}));
    this.policy.addEventListener(
        'change', () => page.setPolicies(Number(this.policy.value), page.against));
    this.against.addEventListener(
        'change', () => page.setPolicies(page.policy, Number(this.against.value)));
    byId('theme').addEventListener('click', () => page.toggleTheme());
    byId('help-button').addEventListener('click', () => byId('help').showModal());
  }

  /** Lists what a new document offers. */
  offer() {
    const {signals, doc} = this.page;
    const groups = new Map();
    for (const {id, group, name} of signals) {
      if (!groups.has(group)) groups.set(group, make('optgroup', {label: group}));
      groups.get(group).append(make('option', {value: id}, name));
    }
    this.signal.replaceChildren(...groups.values());
    const policies = doc.retention.map(({name}, k) => make('option', {value: k}, name));
    this.policy.replaceChildren(...policies);
    this.against.replaceChildren(
        make('option', {value: -1}, 'none'), ...policies.map((option) => option.cloneNode(true)));
  }

  /** Shows what is chosen, and only the choosers that mean something for it. */
  show() {
    const {signal, view, policy, against} = this.page;
    const {layered, kind} = signal;
    this.signal.value = signal.id;
    byId('layer-field').hidden = !layered || layered.nLayers < 2;
    byId('head-field').hidden = !layered || layered.heads < 2;
    byId('policy-field').hidden = byId('against-field').hidden = kind !== 'share';
    this.policy.value = policy;
    this.against.value = against;
    if (!layered) return;
    Object.assign(this.layer, {min: -1, max: layered.nLayers - 1, value: view.layer});
    const shown = view.layer < 0 ? 'all' : String(view.layer);
    byId('layer-shown').textContent = shown;
    this.layer.setAttribute(
        'aria-valuetext', view.layer < 0 ? 'mean of all layers' : `layer ${shown}`);
    if (this.head.length !== layered.heads + 1) {
      this.head.replaceChildren(
          make('option', {value: -1}, 'all'),
          ...range(layered.heads).map((h) => make('option', {value: h}, String(h))));
    }
    this.head.value = view.head;
  }

  /**
   * `domain` is null for parts of speech; `only` are the counts of tokens that one policy alone
   * keeps.
   */
  showLegend(domain, only) {
    const {signal, theme} = this.page;
    const ramp = rampOf(theme, signal);
    const parts = domain ? numberLegend(signal, domain, ramp) : tagLegend();
    if (only) {
      parts.push(...only.map(
          ({name, n}) => make('span', {className: 'sample only'}, `only ${name}: ${count(n)}`)));
    }
    this.legend.replaceChildren(...parts);
    this.legend.setAttribute(
        'aria-label',
        domain ? `Shades of ${signal.name}: from ${digits(domain.low, 2)} to ${
                     digits(domain.high, 2)} ${signal.unit}` :
                 'Colours and lines of the parts of speech');
  }
}
