// The document as text: a block for each line, a span for each token. A second copy of every block
// stands beside the first where two policies are compared.

/** What turns the direction of all that follows: its reach must end with its token. */
const BIDI_CONTROLS = /[\u202a-\u202e\u2066-\u2069]/;

class DocumentText {
  constructor(root, doc) {
    this.root = root;
    this.doc = doc;
    this.panes = [[], []];  // spans of each token; the second is empty unless compared
    this.build();
  }

  build() {
    const blocks = document.createDocumentFragment();
    let block = null;
    for (let i = 0; i < this.doc.n; ++i) {
      if (i === this.doc.context) {
        blocks.append(contextEnd(this.doc));
        block = null;
      }
      if (!block) {
        block = make('p', {className: 'line', dir: 'auto'});
        blocks.append(block);
      }
      const text = this.doc.text[i];
      const isSpaced = text.length > 1 && text[0] === ' ' && text[1] !== ' ';
      const span = this.tokenSpan(i, isSpaced ? text.slice(1) : text);
      this.panes[0].push(span);
      if (isSpaced) block.append(' ');  // a token that begins a line is not torn from its blank
      block.append(span);
      if (this.doc.text[i].includes('\n')) block = null;
    }
    this.root.replaceChildren(blocks);
    for (const line of this.lines()) reserveHeight(line);
  }

  lines() {
    return [...this.root.querySelectorAll('p.line:not(.beside)')];
  }

  tokenSpan(i, text) {
    const span = make('span', {className: 't', id: `t${i}`});
    span.token = i;
    if (text.includes('\uFFFD')) {
      span.classList.add('part');
      span.title = 'bytes that are no whole character by themselves';
    }
    if (BIDI_CONTROLS.test(text)) span.classList.add('isolated');
    // Blanks stay what they are, for whoever copies the text; their marks are the style sheet's.
    for (const piece of text.split(/([\n\t\r\u0000-\u001f])/)) {
      if (piece === '') continue;
      const mark = markOf(piece);
      if (mark) {
        const element =
            make('i', {className: piece === '\t' ? 'mark tab' : 'mark', 'aria-hidden': true});
        element.dataset.mark = mark;
        span.append(element);
      }
      span.append(piece);
    }
    if (text === '') span.append(make('i', {className: 'mark'}));
    return span;
  }

  get isCompared() {
    return this.panes[1].length > 0;
  }

  /** Puts the second copy beside the first, each under its name, or, for null, takes it away. */
  compare(names) {
    for (const heading of this.root.querySelectorAll('.compared-name')) heading.remove();
    if (Boolean(names) !== this.isCompared) this.addOrRemoveCopy(Boolean(names));
    if (!names) return;
    this.root.prepend(...names.map((name) => make('h2', {className: 'compared-name'}, name)));
  }

  addOrRemoveCopy(wanted) {
    this.root.classList.toggle('compared', wanted);
    if (!wanted) {
      for (const line of this.root.querySelectorAll('.beside')) line.remove();
      this.panes[1] = [];
      return;
    }
    for (const line of this.lines()) {
      const copy = line.cloneNode(true);
      copy.classList.add('beside');
      for (const span of copy.querySelectorAll('.t')) {
        span.token = Number(span.id.slice(1));
        span.id = `b${span.token}`;
        this.panes[1][span.token] = span;
      }
      line.after(copy);
    }
  }

  /** Shades a pane: `steps` [n] of `ramp`, -1 for none; where `faint`, step 0 is faint ink. */
  shade(pane, steps, ramp, faint) {
    const spans = this.panes[pane];
    for (let i = 0; i < spans.length; ++i) {
      const {style, classList} = spans[i];
      const shade = steps[i] > 0 ? ramp[steps[i]] : null;
      style.backgroundColor = shade ? shade.background : '';
      style.color = shade ? shade.ink : '';
      classList.toggle('faint', faint && steps[i] === 0);
    }
  }

  /** Gives the tokens of a pane classes `prefix-VALUE` by `values` [n], NaN for none. */
  classify(prefix, values) {
    const mine = new RegExp(`\\s*\\b${prefix}-\\d+`, 'g');
    this.panes[0].forEach((span, i) => {
      const bare = span.className.replace(mine, '');
      span.className = values && !Number.isNaN(values[i]) ? `${bare} ${prefix}-${values[i]}` : bare;
    });
  }

  /** Gives exactly the tokens `members` the class `name`, in both panes or in one. */
  mark(name, members, panes = [0, 1]) {
    const wanted = new Set(members);
    for (const pane of panes) {
      this.panes[pane].forEach((span, i) => span.classList.toggle(name, wanted.has(i)));
    }
  }

  reveal(i) {
    this.panes[0][i].scrollIntoView({block: 'center'});
  }

  /** The token a line above (-1) or below (1) token i, nearest to it across. */
  neighbour(i, direction) {
    const spans = this.panes[0];
    const here = middleOf(spans[i]);
    let best = -1;
    let bestRow = NaN;
    for (let k = i + direction; k >= 0 && k < spans.length; k += direction) {
      const there = middleOf(spans[k]);
      if (Math.abs(there.y - here.y) < 4) continue;
      if (Number.isNaN(bestRow)) bestRow = there.y;
      if (Math.abs(there.y - bestRow) > 4) break;
      if (best < 0 || Math.abs(there.x - here.x) < Math.abs(middleOf(spans[best]).x - here.x))
        best = k;
    }
    return best < 0 ? i : best;
  }

  /** The first and the last token in the window, between the bars above and below. */
  inView() {
    const top = document.querySelector('.top').getBoundingClientRect().bottom;
    const bottom = innerHeight - byId('strip').clientHeight;
    const lines = this.lines().filter((line) => {
      const box = line.getBoundingClientRect();
      return box.bottom > top && box.top < bottom;
    });
    const tokens = lines.flatMap((line) => [...line.children]).filter((span) => {
      const {y} = middleOf(span);
      return y > top && y < bottom;
    });
    return tokens.length ? [tokens[0].token, tokens[tokens.length - 1].token] : [0, 0];
  }
}

function contextEnd(doc) {
  const future = doc.n - doc.context;
  return make(
      'div', {className: 'context-end', role: 'separator'},
      `the context ends: ${count(future)} tokens follow`);
}

function markOf(character) {
  if (character === '\n') return '↵';
  if (character === '\t') return '⇥';
  if (/^[\u0000-\u001f]$/.test(character))
    return String.fromCharCode(0x2400 + character.charCodeAt(0));
  return '';
}

/**
 * Lines outside the window are laid out when they come near; until then they stand in by a guess.
 */
function reserveHeight(line) {
  const rows = Math.max(1, Math.ceil(line.textContent.length / 75));
  line.style.containIntrinsicHeight = `auto ${1.8 * rows}em`;
}

function middleOf(span) {
  const box = span.getClientRects()[0] ?? span.getBoundingClientRect();
  return {x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2};
}
