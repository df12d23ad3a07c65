// The matrix of sentences in the panel: a row for each removed one, a column for each that is read
// after one. It tells the cell that is looked at and listens to pointer and keys.

class SentenceMatrix {
  constructor(page) {
    this.page = page;
    this.sentences = page.doc.sentences;
    this.plot = new MatrixPlot(
        this.sentences,
        'Removed sentences by later sentences. Arrow keys move from cell to cell, Enter shows ' +
            'both sentences in the text.');
    this.pointed = null;  // the cell under the pointer
    this.cursor = null;   // the cell where the keys are
    this.pair = make('div', {className: 'pair'});
    this.root = make(
        'section', {className: 'sentences', 'aria-label': 'Sentences'},
        make(
            'p', {className: 'facts'},
            'What removing one sentence does to the predictions in a later one: the mean KL ' +
                'divergence over its tokens.'),
        this.plot.root, this.pair);
    this.listen();
  }

  listen() {
    const {canvas, root} = this.plot;
    canvas.addEventListener('pointermove', (event) => this.point(this.plot.cellAt(event)));
    canvas.addEventListener('pointerleave', () => this.point(null));
    canvas.addEventListener('click', (event) => this.choose(this.plot.cellAt(event)));
    root.addEventListener('keydown', (event) => this.onKey(event));
    root.addEventListener('blur', () => this.moveTo(null));
  }

  /** Puts itself into the panel, if it is not there: an element that is moved loses the keys. */
  show(panel) {
    delete panel.dataset.token;
    if (panel.firstChild === this.root) {
      this.tellCell();
    } else {
      panel.replaceChildren(this.root);
      this.paint();
    }
  }

  paint() {
    if (!this.root.isConnected) return;
    const {signal, theme} = this.page;
    this.plot.paint(domainOf(signal, signal.spanned), rampOf(theme, signal));
    this.tellCell();
  }

  /** The cell of the sentences that are marked in the text, or null; column -1: the whole row. */
  get chosen() {
    const {removed, affected} = this.page;
    if (removed < 0) return null;
    const {rows, columns} = this.plot;
    return {row: rows.indexOf(removed), column: columns.indexOf(affected)};
  }

  /** The numbers of a cell's sentences. */
  numbers({row, column}) {
    return [this.plot.rows[row], this.plot.columns[column] ?? -1];
  }

  point(cell) {
    this.pointed = cell;
    this.page.soon('cell', () => this.tellCell());
  }

  /** Moves the keys to a cell. */
  moveTo(cell) {
    Object.assign(this, {cursor: cell, pointed: null});
    this.tellCell();
  }

  /**
   * Marks the cell's sentences in the text; of a cell that is not measured, the removed one. A
   * second time lets go of them.
   */
  choose(cell) {
    const {page, sentences} = this;
    const [removed, read] = this.numbers(cell);
    const affected = Number.isNaN(sentences.at(removed, read)) ? -1 : read;
    if (removed === page.removed && affected === page.affected) {
      page.chooseSentences(-1, -1);
    } else {
      page.chooseSentences(removed, affected);
      page.reveal(sentences.bounds[affected < 0 ? removed : affected]);
    }
  }

  onKey(event) {
    const {key, ctrlKey, metaKey, altKey} = event;
    const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
    const isMove = Object.hasOwn(moves, key);
    if (ctrlKey || metaKey || altKey || !(isMove || key === 'Enter')) return;
    event.preventDefault();
    event.stopPropagation();
    if (isMove)
      this.step(...moves[key]);
    else if (this.cursor)
      this.choose(this.cursor);
  }

  step(down, right) {
    const {rows, columns} = this.plot;
    const from = this.cursor ?? this.pointed ?? this.chosen;
    const inside = (at, n) => Math.min(n - 1, Math.max(0, at));
    this.moveTo(
        from ? {
          row: inside(from.row + down, rows.length),
          column: inside(from.column + right, columns.length)
        } :
               this.firstMeasured());
    const {sentences} = this;
    const [removed, read] = this.numbers(this.cursor);
    this.page.say(
        `${removed} removed, ${read} read: ${sentences.written(sentences.at(removed, read))}. ` +
        `Removed: ${sentences.text(removed)} Read: ${sentences.text(read)}`);
  }

  firstMeasured() {
    return {row: 0, column: this.plot.columns.indexOf(this.sentences.rows[0].first)};
  }

  /** Outlines the cell under the pointer, else the keys' or the chosen one, and tells of it. */
  tellCell() {
    const {chosen} = this;
    const seen = this.pointed ?? this.cursor ?? chosen;
    this.plot.mark(chosen, seen);
    this.pair.replaceChildren(...(seen ? this.tell(...this.numbers(seen)) : [hintOfMatrix()]));
  }

  tell(removed, read) {
    const {sentences} = this;
    const written = read < 0 ?
        `${sentences.written(sentences.meanOver(removed))}, mean over later sentences` :
        sentences.written(sentences.at(removed, read));
    const sentence = (what, mark, k) => make(
        'p', {className: 'told'}, make('span', {className: mark}, `${what}: ${k}`), ' ',
        make('bdi', {dir: 'auto'}, sentences.text(k)));
    const pair = [sentence('removed', 'member', removed)];
    if (read >= 0) pair.push(sentence('read', 'affected', read));
    return [make('p', {className: 'nats'}, written), ...pair];
  }
}

function hintOfMatrix() {
  return make(
      'p', {className: 'hint'},
      'Point at a cell for its value. Click one, or press Enter, to see both sentences in the ' +
          'text; click a sentence in the text to shade those that it acts on.');
}
