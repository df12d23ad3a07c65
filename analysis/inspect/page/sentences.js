// Influence from sentence to sentence: what the run has of it, and how it shades the text.

/**
 * The document's N sentences, and the mean influence of each that was removed on those after it.
 * Sentences are named by their number, from 0.
 */
class Sentences {
  constructor(json, doc) {
    this.doc = doc;
    this.bounds = decode(json.bounds);
    this.n = this.bounds.length - 1;
    this.of = new Int32Array(doc.n);  // the sentence of each token
    for (let k = 0; k < this.n; ++k) this.of.fill(k, this.bounds[k], this.bounds[k + 1]);
    this.values = decode(json.mean);
    this.rows = this.readRows(json);
    this.rowOf = new Map(this.rows.map((row) => [row.sentence, row]));
    this.subjects = new Set(decode(json.subject));
    this.firstColumn = Math.min(...this.rows.map(({first}) => first));
    this.lastColumn = Math.max(...this.rows.map(({first, values}) => first + values.length - 1));
    this.floor = Math.max(...doc.influence.floor);
  }

  /** Removed sentences in the text's order: `values` are of sentence `first` and those after it. */
  readRows(json) {
    const first = decode(json.first);
    const counts = decode(json.count);
    let at = 0;
    const rows = [...decode(json.subject)].map((s, r) => {
      const values = this.values.subarray(at, at + counts[r]);
      at += counts[r];
      return {sentence: this.of[this.doc.influence.subjects[s].begin], first: first[r], values};
    });
    return rows.sort((a, b) => a.sentence - b.sentence);
  }

  /**
   * Mean KL, nats, in sentence `affected` once sentence `removed` is gone: NaN where it is not
   * measured, 0 where it is at or under the noise floor.
   */
  at(removed, affected) {
    const row = this.rowOf.get(removed);
    return row?.values[affected - row.first] ?? NaN;
  }

  /**
   * The mean over the sentences that a removed one is measured in; NaN where it was not removed.
   */
  meanOver(removed) {
    const values = [...this.rowOf.get(removed)?.values ?? []].filter((nats) => !Number.isNaN(nats));
    return values.reduce((sum, nats) => sum + nats, 0) / values.length;
  }

  tokens(k) {
    return k < 0 ? [] : range(this.bounds[k + 1] - this.bounds[k]).map((i) => this.bounds[k] + i);
  }

  text(k) {
    return this.doc.text.slice(this.bounds[k], this.bounds[k + 1]).join('').trim();
  }

  written(nats) {
    if (Number.isNaN(nats)) return NOT_MEASURED;
    return nats === 0 ? `≤ ${digits(this.floor, 2)} nats, the noise floor` : `${digits(nats)} nats`;
  }
}

/**
 * The influence of the removed sentence on the others, or, while none is chosen, of every removed
 * sentence on those after it.
 */
function sentenceSignal(page) {
  const {sentences} = page.doc;
  const valueOf = (k) => page.removed < 0 ? sentences.meanOver(k) : sentences.at(page.removed, k);
  return {
    id: 'sentence',
    group: 'Influence, measured',
    name: 'sentence by sentence',
    meaning: 'mean KL divergence of the predictions in a later sentence once one is gone',
    unit: 'nats',
    scale: 'log',
    kind: 'sentence',
    layered: null,
    spanned: sentences.values,
    values() {
      const bySentence = range(sentences.n).map(valueOf);
      return Float32Array.from(sentences.of, (k) => bySentence[k]);
    },
    show(i) {
      const k = sentences.of[i];
      if (k === page.removed) return `sentence ${k}, removed`;
      const value = sentences.written(valueOf(k));
      const isMean = page.removed < 0 && value !== NOT_MEASURED;
      return `sentence ${k}: ${value}${isMean ? ' in later ones, once it is gone' : ''}`;
    },
  };
}
