// The matrix of sentences as a picture: cells on a canvas, axes and outlines in an SVG over it.

const MATRIX = {
  left: 46,  // of the canvas, in CSS pixels
  top: 34,
  largestCell: 28,
  longestSide: 3,      // of a cell, in its shorter ones
  gapFrom: 6,          // cells from this size on have a pixel between them
  smallestOutline: 9,  // of a cell, so that it leaves the cell to be seen
  labelRoom: {row: 16, column: 28}
};

class MatrixPlot {
  constructor(sentences, label) {
    this.sentences = sentences;
    this.rows = sentences.rows.map(({sentence}) => sentence);
    const {firstColumn, lastColumn} = sentences;
    this.columns = range(lastColumn - firstColumn + 1).map((c) => firstColumn + c);
    this.canvas = make('canvas');
    this.marks = draw('g');
    this.overlay = draw('svg', {'aria-hidden': true});
    this.root = make(
        'div', {className: 'matrix', role: 'group', tabIndex: 0, 'aria-label': label}, this.canvas,
        this.overlay);
  }

  /** Draws all anew: after a change of theme or of the room there is. */
  paint(domain, ramp) {
    this.fitRoom();
    this.sizeCanvas();
    this.drawCells(domain, ramp);
    this.drawAxes();
  }

  /** Makes cells as large as the style sheet's room for the matrix allows. */
  fitRoom() {
    const {left, top, largestCell, longestSide} = MATRIX;
    const {clientWidth} = this.root;
    const maxHeight = parseFloat(getComputedStyle(this.root).maxHeight);
    const width = Math.min(largestCell, (clientWidth - left) / this.columns.length);
    const height = Math.min(largestCell, (maxHeight - top) / this.rows.length);
    this.cell = {
      width: Math.min(width, longestSide * height),
      height: Math.min(height, longestSide * width)
    };
  }

  get width() {
    return this.cell.width * this.columns.length;
  }

  get height() {
    return this.cell.height * this.rows.length;
  }

  sizeCanvas() {
    const {canvas, width, height} = this;
    const sharpness = devicePixelRatio || 1;
    const [left, top] = [MATRIX.left, MATRIX.top].map((pixels) => `${pixels}px`);
    Object.assign(canvas.style, {left, top, width: `${width}px`, height: `${height}px`});
    canvas.width = Math.round(width * sharpness);
    canvas.height = Math.round(height * sharpness);
    this.root.style.height = `${Math.ceil(MATRIX.top + height)}px`;
  }

  /** Fills the cells that are measured, each of whole pixels. */
  drawCells(domain, ramp) {
    const {canvas, sentences, columns, rows, cell} = this;
    const context = canvas.getContext('2d');
    const gap = Math.min(cell.width, cell.height) < MATRIX.gapFrom ? 0 : 1;
    const extent = (k, n, size) => {
      const from = Math.round(k / n * size);
      return [from, Math.max(1, Math.round((k + 1) / n * size) - gap - from)];
    };
    sentences.rows.forEach(({first, values}, r) => {
      const [y, height] = extent(r, rows.length, canvas.height);
      stepsOf(domain, values).forEach((step, k) => {
        if (step < 0) return;
        const [x, width] = extent(first + k - columns[0], columns.length, canvas.width);
        context.fillStyle = ramp[step].background;
        context.fillRect(x, y, width, height);
      });
    });
  }

  drawAxes() {
    const {left, top} = MATRIX;
    const middle = top + this.height / 2;
    const foot = Math.ceil(top + this.height);
    const turned = {'text-anchor': 'middle', transform: `rotate(-90 10 ${middle})`};
    this.overlay.setAttribute('viewBox', `0 0 ${this.root.clientWidth} ${foot}`);
    this.overlay.replaceChildren(
        draw('text', {class: 'name', x: left, y: 10}, 'read after it: sentence'),
        draw('text', {class: 'name', x: 10, y: middle, ...turned}, 'removed: sentence'),
        this.marks);
  }

  xOf(column) {
    return MATRIX.left + column * this.cell.width;
  }

  yOf(row) {
    return MATRIX.top + row * this.cell.height;
  }

  columnLabel(column, className = '') {
    const place = {x: this.xOf(column + 0.5), y: MATRIX.top - 6, 'text-anchor': 'middle'};
    return draw('text', {class: className, ...place}, String(this.columns[column]));
  }

  rowLabel(row, className = '') {
    const place = {x: MATRIX.left - 6, y: this.yOf(row + 0.5) + 3.5, 'text-anchor': 'end'};
    return draw('text', {class: className, ...place}, String(this.rows[row]));
  }

  /** The cell {row, column} at a point of the window, or the nearest one. */
  cellAt({clientX, clientY}) {
    const box = this.canvas.getBoundingClientRect();
    const inside = (at, n) => Math.min(n - 1, Math.max(0, Math.floor(at * n)));
    return {
      row: inside((clientY - box.top) / box.height, this.rows.length),
      column: inside((clientX - box.left) / box.width, this.columns.length)
    };
  }

  /**
   * Outlines the chosen cell with its row, and the one that is looked at; either may be null, and
   * the latter's numbers stand at the axes in place of what is there otherwise.
   */
  mark(chosen, seen) {
    const {row, column} = MATRIX.labelRoom;
    const marks = [
      ...ticksOf(this.columns, this.cell.width, column, seen?.column)
          .map((c) => this.columnLabel(c)),
      ...ticksOf(this.rows, this.cell.height, row, seen?.row).map((r) => this.rowLabel(r))
    ];
    if (chosen) {
      marks.push(this.outline(
          'row', this.xOf(0), this.yOf(chosen.row),
          {width: this.cell.width * this.columns.length, height: this.cell.height}));
      if (chosen.column >= 0) marks.push(this.outlineCell('chosen', chosen));
    }
    if (seen) {
      marks.push(this.rowLabel(seen.row, 'here'));
      if (seen.column >= 0)
        marks.push(this.columnLabel(seen.column, 'here'), this.outlineCell('seen', seen));
    }
    this.marks.replaceChildren(...marks);
  }

  outlineCell(className, {row, column}) {
    const {width, height} = this.cell;
    const [more, taller] =
        [width, height].map((side) => Math.max(2, MATRIX.smallestOutline - side));
    return this.outline(
        className, this.xOf(column) - more / 2, this.yOf(row) - taller / 2,
        {width: width + more, height: height + taller});
  }

  outline(className, x, y, size) {
    return draw('rect', {class: className, x, y, ...size});
  }
}

/**
 * Which of a row's or column's `numbers` are written, in cells of `size` pixels: round ones, or of
 * a sample every so many, at least `room` pixels from one another and from `taken`.
 */
function ticksOf(numbers, size, room, taken = NaN) {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((every) => every * size >= room) ?? 1000;
  const isSample = numbers[numbers.length - 1] - numbers[0] >= numbers.length;
  const isFree = (k) => !(Math.abs(k - taken) * size < room);
  return range(numbers.length).filter((k) => (isSample ? k : numbers[k]) % step === 0 && isFree(k));
}
