// The page: what is chosen, and who is told when that changes.

const WHOLE = {
  layer: -1,
  head: -1
};  // the mean over layers and heads

class Page {
  constructor(run) {
    this.run = run;
    this.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
    this.panel = byId('panel');
    this.pending = {};  // frames asked for, by part of the page
    this.tooltip = byId('tooltip');
    this.controls = new Controls(this);
    this.search = new Search(this);
    this.report = new ReportTables(
        byId('report'), JSON.parse(byId('report-data').textContent), run.documents);
    document.documentElement.dataset.theme = this.theme;
    this.offerDocuments();
    listenToKeys(this);
    this.listenToText();
    addEventListener(
        'scroll', () => this.soon('strip', () => this.strip.follow()), {passive: true});
    this.report.details.addEventListener(
        'toggle', () => this.soon('strip', () => this.strip.follow()));
    addEventListener('resize', () => this.soon('strip', () => this.paintMaps()));
  }

  offerDocuments() {
    const chooser = byId('document');
    chooser.append(...this.run.documents.map((name, k) => make('option', {value: k}, name)));
    chooser.addEventListener('change', () => this.open(Number(chooser.value)));
  }

  open(index) {
    this.doc = new LongDocument(JSON.parse(byId(`document-${index}`).textContent), this.run);
    Object.assign(this, {
      view: {...WHOLE},
      policy: 0,
      against: -1,
      cursor: -1,
      isPinned: false,
      pinnedSet: -1,
      hovered: -1,
      removed: -1,
      affected: -1
    });
    this.medians = medianBySubject(this.doc.influence);
    this.signals = signalsOf(this);
    const first = this.doc.sketch ? 'sketch-0' : this.doc.sentences ? 'sentence' : 'near';
    this.signal = this.signals.find(({id}) => id === first) ?? this.signals[0];
    document.title = `${this.doc.name} · Longshadow`;
    byId('conditions').textContent =
        `${this.run.model.name} · context ${count(this.doc.context)} · ${count(this.doc.n)} tokens`;
    byId('precision').textContent = precisionSentence(this.doc);
    this.text = new DocumentText(byId('text'), this.doc);
    this.markMeasured();
    this.controls.offer();
    this.strip = new Strip(byId('strip'), this);
    this.matrix = this.doc.sentences ? new SentenceMatrix(this) : null;
    byId('about-sentences').hidden = !this.doc.sentences;
    this.repaint();
    this.paintMaps();
    this.search.reset();
    this.report.show(this.doc.name);
  }

  /** A line under every token of a sentence would say nothing: its first is one to go to. */
  markMeasured() {
    const {influence, sentences, n} = this.doc;
    const isFirst = (i) => sentences.bounds[sentences.of[i]] === i;
    const inSentence = (i) => Boolean(sentences?.subjects.has(influence.subjectOf[i]));
    const measured = influence ? range(n).filter((i) => influence.subjectOf[i] >= 0) : [];
    this.measured = measured.filter((i) => !inSentence(i) || isFirst(i));
    this.text.mark('measured', measured.filter((i) => !inSentence(i)));
  }

  paintMaps() {
    this.strip.paint();
    this.matrix?.paint();
  }

  /** Whether the text is shaded by what sentences do to others: the panel has their matrix. */
  get isBySentence() {
    return this.signal.kind === 'sentence';
  }

  /** Shades the text by what is chosen. */
  repaint() {
    const {signal, view, text, theme} = this;
    const ramp = rampOf(theme, signal);
    const isCompared = signal.kind === 'share' && this.against >= 0;
    const nameOf = (policy) => this.doc.retention[policy].name;
    text.compare(isCompared ? [this.policy, this.against].map(nameOf) : null);
    const values = signal.values(view);
    const isTag = signal.kind === 'tag';
    const domain = isTag ? null : domainOf(signal, values);
    text.classify('tag', isTag ? values : null);
    text.shade(
        0, isTag ? new Int16Array(this.doc.n) : stepsOf(domain, values), ramp,
        signal.kind === 'share');
    const only = isCompared ? this.shadeBeside(values, domain, ramp) : null;
    if (!isCompared) text.mark('only', []);
    this.controls.show();
    this.controls.showLegend(domain, only);
    this.markCursor();
    this.showPanel();
  }

  /**
   * Shades the second pane and marks what one policy keeps and the other does not: of the shown
   * slots of a token at least half more. Returns how many tokens those are, for each policy.
   */
  shadeBeside(values, domain, ramp) {
    const {text, signal, view, doc} = this;
    const others = signal.values(view, this.against);
    text.shade(1, stepsOf(domain, others), ramp, true);
    return [[this.policy, values, others], [this.against, others, values]].map(
        ([policy, mine, theirs], pane) => {
          const only = range(doc.context).filter((i) => mine[i] - theirs[i] >= 0.5);
          text.mark('only', only, [pane]);
          return {name: doc.retention[policy].name, n: only.length};
        });
  }

  setSignal(id) {
    this.signal = this.signals.find((signal) => signal.id === id);
    this.setView({});
  }

  setView(change) {
    Object.assign(this.view, change);
    const {layered} = this.signal;
    if (layered) {
      this.view.layer = Math.min(this.view.layer, layered.nLayers - 1);
      this.view.head = Math.min(this.view.head, layered.heads > 1 ? layered.heads - 1 : -1);
    }
    this.repaint();
  }

  setPolicies(policy, against) {
    Object.assign(this, {policy, against});
    this.repaint();
  }

  stepSignal(direction) {
    const at = this.signals.indexOf(this.signal) + direction;
    this.setSignal(this.signals[(at + this.signals.length) % this.signals.length].id);
    this.say(`Shaded by ${this.signal.name}`);
  }

  stepLayer(direction) {
    const {layered} = this.signal;
    if (!layered) return;
    const layer = Math.min(layered.nLayers - 1, Math.max(-1, this.view.layer + direction));
    this.setView({layer});
    this.say(layer < 0 ? 'All layers' : `Layer ${layer}`);
  }

  toggleTheme() {
    this.theme = this.theme === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = this.theme;
    this.repaint();
    this.paintMaps();
  }

  // The token: where the keys are (`cursor`), pinned or not, and where the pointer is (`hovered`).

  moveTo(i) {
    this.cursor = i;
    this.pinnedSet = -1;
    this.hovered = -1;
    this.text.reveal(i);
    this.markCursor();
    this.showPanel();
    this.say(this.sentence(i));
  }

  step(direction) {
    const from = this.cursor >= 0 ? this.cursor + direction : this.text.inView()[0];
    if (from >= 0 && from < this.doc.n) this.moveTo(from);
  }

  stepLine(direction) {
    this.moveTo(
        this.cursor >= 0 ? this.text.neighbour(this.cursor, direction) : this.text.inView()[0]);
  }

  goToMeasured(direction) {
    const from = this.cursor >= 0 ? this.cursor : this.text.inView()[0];
    const beyond = this.measured.filter((i) => direction > 0 ? i > from : i < from);
    if (beyond.length) this.moveTo(direction > 0 ? beyond[0] : beyond[beyond.length - 1]);
  }

  togglePin() {
    if (this.cursor < 0) return;
    if (this.isBySentence) return this.chooseSentenceAt(this.cursor);
    this.isPinned = !this.isPinned;
    this.markCursor();
    this.showPanel();
    this.say(this.isPinned ? `Pinned. ${this.sentence(this.cursor)}` : 'Let go.');
  }

  pin(i) {
    if (this.isBySentence) return this.chooseSentenceAt(i);
    const isSame = this.isPinned && this.cursor === i;
    Object.assign(this, {cursor: i, isPinned: !isSame, pinnedSet: -1});
    this.markCursor();
    this.showPanel();
    this.say(isSame ? 'Let go.' : `Pinned. ${this.sentence(i)}`);
  }

  pinSet(s) {
    Object.assign(this, {pinnedSet: s, cursor: -1, isPinned: false});
    this.markCursor();
    this.showPanel();
    if (s >= 0) this.text.reveal(this.doc.influence.subjects[s].begin);
  }

  letGo() {
    Object.assign(this, {cursor: -1, isPinned: false, pinnedSet: -1});
    if (this.removed >= 0) return this.chooseSentences(-1, -1);
    this.markCursor();
    this.showPanel();
  }

  /**
   * Marks the removed sentence and one that is read after it, -1 for none, and shades the text by
   * what the former does.
   */
  chooseSentences(removed, affected) {
    Object.assign(this, {removed, affected});
    this.repaint();
    const {sentences} = this.doc;
    const isPair = affected >= 0;
    const value = isPair ? sentences.at(removed, affected) : sentences.meanOver(removed);
    this.say(
        removed < 0 ?
            'Let go.' :
            `Sentence ${removed} removed, ${isPair ? `${affected} read` : 'all later ones'}` +
                `: ${sentences.written(value)}.`);
  }

  /** Chooses the sentence of token i: as the removed one, or where that is measured as one read. */
  chooseSentenceAt(i) {
    const {sentences} = this.doc;
    const k = sentences.of[i];
    if (sentences.rowOf.has(k))
      this.chooseSentences(k === this.removed ? -1 : k, -1);
    else if (!Number.isNaN(sentences.at(this.removed, k)))
      this.chooseSentences(this.removed, k);
  }

  reveal(i) {
    this.text.reveal(i);
    this.strip.follow();
  }

  markCursor() {
    const {text, cursor, isPinned, pinnedSet, doc, isBySentence} = this;
    const shown = cursor < 0 ? [] : [cursor];
    const set = pinnedSet < 0 ? [] : doc.influence.subjects[pinnedSet].removed;
    text.mark('cursor', isPinned ? [] : shown);
    text.mark('pinned', shown.filter(() => isPinned));
    text.mark('member', isBySentence ? doc.sentences.tokens(this.removed) : set);
    text.mark('affected', isBySentence ? doc.sentences.tokens(this.affected) : []);
    if (cursor < 0)
      text.root.removeAttribute('aria-activedescendant');
    else
      text.root.setAttribute('aria-activedescendant', `t${cursor}`);
    this.strip.follow();
  }

  showPanel() {
    const i = this.isPinned || this.hovered < 0 ? this.cursor : this.hovered;
    this.panel.parentElement.classList.toggle('by-sentence', this.isBySentence);
    if (this.isBySentence)
      this.matrix.show(this.panel);
    else if (this.pinnedSet >= 0)
      showSet(this.panel, this, this.pinnedSet);
    else if (i >= 0)
      showToken(this.panel, this, i);
    else
      showNothing(this.panel, this);
  }

  listenToText() {
    const root = byId('text');
    const tokenOf = (event) => event.target.closest('.t')?.token ?? -1;
    root.addEventListener(
        'pointerover', (event) => this.hover(tokenOf(event), event.target.closest('.t')));
    root.addEventListener('pointerleave', () => this.hover(-1, null));
    root.addEventListener('click', (event) => {
      if (tokenOf(event) >= 0 && String(getSelection()) === '') this.pin(tokenOf(event));
    });
  }

  hover(i, span) {
    if (i === this.hovered) return;
    this.hovered = i;
    this.showTooltip(i, span);
    if (!this.isPinned && this.pinnedSet < 0) this.soon('panel', () => this.showPanel());
  }

  showTooltip(i, span) {
    this.tooltip.hidden = i < 0;
    if (i < 0) return;
    this.tooltip.replaceChildren(
        make('b', {dir: 'auto'}, visible(this.doc.text[i])),
        make('span', {}, this.signal.show(i, this.view)));
    const token = span.getClientRects()[0];
    const {width, height} = this.tooltip.getBoundingClientRect();
    const left = Math.max(8, Math.min(token.left, innerWidth - width - 8));
    const above = token.top - height - 6;
    this.tooltip.style.left = `${left}px`;
    this.tooltip.style.top = `${above > 0 ? above : token.bottom + 6}px`;
  }

  /** The token for who hears the page. */
  sentence(i) {
    const tag = this.doc.tags ? `, ${this.run.tags[this.doc.tags[i]]}` : '';
    return `Token ${i}, ${spoken(this.doc.text[i])}${tag}. ${this.signal.name}: ` +
        `${this.signal.show(i, this.view)}.`;
  }

  say(sentence) {
    byId('live').textContent = sentence;
  }

  /** Runs `work` once before the next frame; of several for the same part, the last. */
  soon(part, work) {
    cancelAnimationFrame(this.pending[part]);
    this.pending[part] = requestAnimationFrame(work);
  }
}

function precisionSentence(doc) {
  const parts =
      ['Values of a token, and means near, far and in a sentence, are the run file’s own ' +
       '(32-bit floats), written with four digits.'];
  const {array, heads} = doc.layered['attention-window'];
  const about = (error) => percent(error);
  parts.push(
      `Values of single layers${heads > 1 ? ' and KV heads' : ''} are rounded on a logarithmic ` +
      `scale, by at most ${about(array.relative_error)} for attention; a ≈ marks them.`);
  if (heads === 1) parts.push('Attention is the mean over a layer’s KV heads.');
  if (doc.influence) {
    parts.push(
        `A curve’s points are rounded by at most ${about(doc.influence.kl.relative_error)}.`);
  }
  return parts.join(' ');
}

const page = new Page(JSON.parse(byId('run').textContent));
page.open(0);
