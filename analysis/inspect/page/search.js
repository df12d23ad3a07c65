// Search in the document's text, over the borders of tokens; "#123" goes to a token.

class Search {
  constructor(page) {
    this.page = page;
    this.field = byId('search');
    this.output = byId('hits');
    this.hits = [];  // the tokens of each hit
    this.current = -1;
    this.field.addEventListener('input', () => this.find());
    this.field.addEventListener('keydown', (event) => this.onKey(event));
  }

  /** For a new document. */
  reset() {
    this.field.value = '';
    const lower = this.page.doc.text.map((text) => text.toLowerCase());
    this.text = lower.join('');
    this.begins = [];
    let begin = 0;
    for (const text of lower) {
      this.begins.push(begin);
      begin += text.length;
    }
    this.find();
  }

  find() {
    const query = this.field.value.toLowerCase();
    const numbered = /^#(\d+)$/.exec(query);
    if (numbered) {
      const token = Number(numbered[1]);
      this.hits = token < this.page.doc.n ? [[token]] : [];
    } else {
      this.hits = query === '' ? [] : this.occurrences(query);
    }
    this.page.text.mark('hit', this.hits.flat());
    this.current = -1;
    if (this.hits.length > 0)
      this.go(this.firstFromView());
    else
      this.report();
  }

  occurrences(query) {
    const hits = [];
    for (let at = this.text.indexOf(query); at >= 0;
         at = this.text.indexOf(query, at + query.length)) {
      const first = this.tokenAt(at);
      const last = this.tokenAt(at + query.length - 1);
      hits.push(range(last - first + 1).map((k) => first + k));
    }
    return hits;
  }

  /** The token that holds character `at`: the last that begins no later. */
  tokenAt(at) {
    let low = 0;
    let high = this.begins.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.begins[middle] <= at)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }

  firstFromView() {
    const [first] = this.page.text.inView();
    return Math.max(0, this.hits.findIndex((hit) => hit[0] >= first));
  }

  go(hit) {
    this.current = (hit + this.hits.length) % this.hits.length;
    this.page.text.mark('hit-now', this.hits[this.current]);
    this.page.moveTo(this.hits[this.current][0]);
    this.report();
  }

  report() {
    if (this.hits.length === 0) this.page.text.mark('hit-now', []);
    const found = this.hits.length ? `${this.current + 1} of ${this.hits.length}` : 'none';
    this.output.textContent = this.field.value === '' ? '' : found;
  }

  onKey(event) {
    if (event.key === 'Enter' && this.hits.length > 0)
      this.go(this.current + (event.shiftKey ? -1 : 1));
    if (event.key === 'Escape') {
      this.field.value = '';
      this.find();
      byId('text').focus({preventScroll: true});
    }
    if (event.key === 'Enter' || event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
    }
  }
}
