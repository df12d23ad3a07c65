// Near and far influence along the whole document: of the sketch where the run has one, else of the
// tokens that were measured. A pixel that stands for several tokens shows the highest.

class Strip {
  constructor(root, page) {
    this.root = root;
    this.page = page;
    this.rows = this.chooseRows();
    root.replaceChildren();
    root.hidden = this.rows.length === 0;
    if (root.hidden) return;
    this.canvas = make('canvas');
    this.frame = make('span', {className: 'frame'});
    this.pin = make('span', {className: 'pin', hidden: true});
    const labels = make(
        'span', {className: 'labels'},
        ...this.rows.map(({name, title}) => make('span', {title}, name)));
    this.map = make(
        'div', {
          className: 'map',
          role: 'slider',
          tabIndex: 0,
          'aria-valuemin': 0,
          'aria-valuemax': page.doc.n - 1,
          'aria-label': 'Place in the document; left and right go along it'
        },
        this.canvas, this.frame, this.pin);
    root.append(labels, this.map);
    this.map.addEventListener('click', (event) => page.reveal(this.tokenAt(event.clientX)));
    this.map.addEventListener('keydown', (event) => this.onKey(event));
  }

  chooseRows() {
    const {signals, doc} = this.page;
    const pick = (ids) => ids.map((id) => signals.find((signal) => signal.id === id));
    const row = (signal, name) =>
        ({name, title: signal.name, values: signal.values(WHOLE), signal});
    if (doc.sketch) {
      const last = doc.sketch.bins.length - 1;
      const chosen = last > 0 ? pick(['sketch-0', `sketch-${last}`]) : pick(['sketch-0']);
      const label = (bin, which) => `${which} ${distances(doc.sketch.bins[bin])}`;
      return chosen.map(
          (signal, k) => row(signal, label(k === 0 ? 0 : last, k === 0 ? 'near' : 'far')));
    }
    if (!doc.influence?.bins.length) return [];
    const {bins, near, far} = doc.influence;
    const [nearSignal, farSignal] = pick(['near', 'far']);
    const rows = [row(nearSignal, `near ${distances(bins[near])}`)];
    if (far !== near) rows.push(row(farSignal, `far ${distances(bins[far])}`));
    return rows;
  }

  /** Draws the rows anew: after a change of theme or of the window's width. */
  paint() {
    if (this.root.hidden) return;
    const {doc, theme} = this.page;
    const width = this.map.clientWidth;
    const height = 13;
    const sharpness = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * sharpness);
    this.canvas.height = Math.round(height * this.rows.length * sharpness);
    const context = this.canvas.getContext('2d');
    this.rows.forEach(({signal, values}, r) => {
      const steps = stepsOf(domainOf(signal, values), values);
      const highest = new Int16Array(this.canvas.width).fill(-1);
      for (let i = 0; i < doc.n; ++i) {
        const from = Math.floor(i / doc.n * this.canvas.width);
        const to = Math.max(from + 1, Math.floor((i + 1) / doc.n * this.canvas.width));
        for (let x = from; x < to; ++x) highest[x] = Math.max(highest[x], steps[i]);
      }
      const top = Math.round(r * height * sharpness);
      highest.forEach((step, x) => {
        if (step < 0) return;
        context.fillStyle = ramps[theme].number[step].background;
        context.fillRect(x, top, 1, Math.round((height - 1) * sharpness));
      });
    });
    this.follow();
  }

  /** Moves the frame to what the window shows, and the pin to the token. */
  follow() {
    if (this.root.hidden) return;
    const {doc, text, cursor} = this.page;
    const [first, last] = text.inView();
    const across = (token) => `${100 * token / doc.n}%`;
    this.frame.style.left = across(first);
    this.frame.style.width = across(Math.max(1, last - first + 1));
    this.pin.hidden = cursor < 0;
    this.pin.style.left = across(cursor + 0.5);
    this.map.setAttribute('aria-valuenow', first);
    this.map.setAttribute('aria-valuetext', `token ${count(first)} of ${count(doc.n)}`);
  }

  tokenAt(clientX) {
    const box = this.map.getBoundingClientRect();
    const {n} = this.page.doc;
    return Math.min(n - 1, Math.max(0, Math.floor((clientX - box.left) / box.width * n)));
  }

  onKey(event) {
    const direction = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!direction) return;
    event.preventDefault();
    event.stopPropagation();
    const {doc, text} = this.page;
    const [first, last] = text.inView();
    const middle = Math.round((first + last) / 2);
    this.page.reveal(Math.min(doc.n - 1, Math.max(0, middle + direction * (last - first + 1))));
  }
}
