// The run out of the page's JSON. Arrays are {type, data}, data in base64 and little-endian, and
// are decoded when they are first asked for. Letters: n tokens, T context tokens, L layers, K KV
// heads.

const TYPES = {
  f32: Float32Array,
  i32: Int32Array,
  u8: Uint8Array,
  log8: Uint8Array,
  log16: Uint16Array,
};

const decoded = new WeakMap();

function decode(array) {
  if (!decoded.has(array)) {
    const text = atob(array.data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; ++i) bytes[i] = text.charCodeAt(i);
    decoded.set(array, new TYPES[array.type](bytes.buffer));
    array.data = null;  // the text is no longer needed
  }
  return decoded.get(array);
}

/**
 * What each code of a logarithmic array stands for (analysis/inspect/log_code.h): code 0 is no
 *  value, NaN, and code 1 is under the smallest, which is given as 0.
 */
function codeValues(array) {
  if (!array.values) {
    const last = array.type === 'log8' ? 255 : 65535;
    const step = Math.log(array.high / array.low) / (last - 2);
    array.values =
        Float32Array.from({length: last + 1}, (_, c) => array.low * Math.exp(step * (c - 2)));
    array.values[0] = NaN;
    array.values[1] = 0;
  }
  return array.values;
}

/** The mean of `value(l, h)` over the layers and heads of a view. */
function meanOfSlots({nLayers, heads}, layer, head, value) {
  const layers = layer < 0 ? range(nLayers) : [layer];
  const chosen = head < 0 ? range(heads) : [head];
  let sum = 0;
  for (const l of layers)
    for (const h of chosen) sum += value(l, h);
  return sum / (layers.length * chosen.length);
}

/**
 * Values [L, K, columns], the block-th such in `array`, of which a view asks for one layer or all,
 * one head or all (-1: their mean).
 */
class Layered {
  constructor(array, nLayers, columns, block = 0) {
    this.array = array;
    this.first = block * nLayers * array.heads;
    this.heads = array.heads;
    this.nLayers = nLayers;
    this.columns = columns;
    this.relativeError = array.relative_error;
  }

  at(layer, head, i) {
    const place = (this.first + layer * this.heads + head) * this.columns + i;
    return codeValues(this.array)[decode(this.array)[place]];
  }

  /** One of row()'s. */
  mean({layer, head}, i) {
    return meanOfSlots(this, layer, head, (l, h) => this.at(l, h, i));
  }

  /** Float32Array [columns] */
  row(layer, head) {
    const codes = decode(this.array);
    const values = codeValues(this.array);
    const sum = new Float32Array(this.columns);
    const layers = layer < 0 ? range(this.nLayers) : [layer];
    const heads = head < 0 ? range(this.heads) : [head];
    for (const l of layers) {
      for (const h of heads) {
        const first = (this.first + l * this.heads + h) * this.columns;
        for (let i = 0; i < this.columns; ++i) sum[i] += values[codes[first + i]];
      }
    }
    return sum.map((total) => total / (layers.length * heads.length));
  }
}

/** The document's counterfactuals. Subject s is a span of tokens or a set. */
class Influence {
  constructor(json, n) {
    Object.assign(this, json);
    const span = decode(json.subjects.span);
    const start = decode(json.subjects.start);
    this.floor = decode(json.noise_floor);
    this.horizon = this.floor.length;
    this.subjects = json.subjects.group.map((group, s) => ({
                                              index: s,
                                              begin: span[2 * s],
                                              end: span[2 * s + 1],
                                              start: start[s],
                                              group,
                                              removed: null,
                                            }));
    for (const set of json.subjects.sets) {
      Object.assign(this.subjects[set.index], {removed: decode(set.removed), label: set.label});
    }
    this.sets = this.subjects.filter((subject) => subject.removed);
    this.rowOf = new Map([...decode(json.binned.index)].map((s, row) => [s, row]));
    this.subjectOf = this.smallestSpans(n);
  }

  /** [n]: for each token the shortest span that holds it, or -1. */
  smallestSpans(n) {
    const spans = this.subjects.filter((subject) => !subject.removed);
    spans.sort((a, b) => (b.end - b.begin) - (a.end - a.begin) || b.index - a.index);
    const of = new Int32Array(n).fill(-1);
    for (const {begin, end, index} of spans) of.fill(index, begin, end);
    return of;
  }

  /**
   * The mean of subject s over a distance bin, values under the floor as the floor; null where it
   *  has none. `isBound`: some were under the floor; `isUnknown`: all were.
   */
  meanOver(s, bin) {
    const row = this.rowOf.get(s);
    if (row === undefined) return null;
    const at = row * this.bins.length + bin;
    const values = decode(this.binned.values)[at];
    if (values === 0) return null;
    const below = decode(this.binned.below)[at];
    const mean = decode(this.binned.mean)[at];
    return {mean, isBound: below > 0, isUnknown: below === values};
  }

  /** KL of subject s at start + h, nats: NaN where not measured, 0 where under the floor. */
  curve(s) {
    const codes = decode(this.kl).subarray(s * this.horizon, (s + 1) * this.horizon);
    const values = codeValues(this.kl);
    return Float32Array.from(codes, (code) => values[code]);
  }

  /**
   * The distance of the curve's first value: from the last removed token; for a set, which is
   *  compared with other sets, from the start, so 1.
   */
  firstDistance(s) {
    const {start, end, removed} = this.subjects[s];
    return removed ? 1 : start - (end - 1);
  }
}

/** What one policy keeps of the context at one budget. */
class Retention {
  constructor(json, nLayers, heads, context) {
    Object.assign(this, {nLayers, heads, context, name: json.name});
    this.kept = json.kept;  // bit (l K + h) T + i, from the lowest of the first byte on
    this.kl = decode(json.kl);
    this.top1 = decode(json.top1);
    this.bytesShare = json.bytes_kept / json.bytes_full;
    this.kvBits = json.kv_bits;
  }

  /** Of a view's slots of token i, the share that is kept. */
  share({layer, head}, i) {
    const bits = decode(this.kept);
    return meanOfSlots(this, layer, head, (l, h) => {
      const place = (l * this.heads + h) * this.context + i;
      return bits[place >> 3] >> (place & 7) & 1;
    });
  }

  /** Float32Array [T]: the same of every token. */
  shares(view) {
    const bits = decode(this.kept);
    const layers = view.layer < 0 ? range(this.nLayers) : [view.layer];
    const heads = view.head < 0 ? range(this.heads) : [view.head];
    const kept = new Float32Array(this.context);
    for (const l of layers) {
      for (const h of heads) {
        const first = (l * this.heads + h) * this.context;
        for (let i = 0; i < this.context; ++i) {
          kept[i] += bits[(first + i) >> 3] >> ((first + i) & 7) & 1;
        }
      }
    }
    return kept.map((n) => n / (layers.length * heads.length));
  }
}

/** One document of the run. */
class LongDocument {
  constructor(json, run) {
    this.name = json.name;
    this.context = json.context;
    this.future = json.future;
    this.complete = json.complete;
    this.text = json.tokens.text;
    this.n = this.text.length;
    this.nBytes = decode(json.tokens.n_bytes);
    this.ids = decode(json.tokens.id);
    this.tags = json.tokens.tag ? decode(json.tokens.tag) : null;
    this.words = json.tokens.word ? decode(json.tokens.word) : null;
    this.scalars = json.signals.scalars;
    this.entropyK = json.signals.entropy_k;
    this.layered = {};
    for (const [name, array] of Object.entries(json.signals.layered)) {
      this.layered[name] = new Layered(array, run.model.n_layers, this.n);
    }
    this.influence = json.influence ? new Influence(json.influence, this.n) : null;
    this.sentences = json.sentences ? new Sentences(json.sentences, this) : null;
    this.sketch = json.sketch ?? null;
    this.sketchParts = this.sketch?.parts ?
        this.sketch.bins.map(
            (_, bin) => new Layered(this.sketch.parts, run.model.n_layers, json.context, bin)) :
        null;
    this.retention = json.retention.map(
        (one) => new Retention(one, run.model.n_layers, run.model.n_kv_heads, json.context));
  }

  /** The word that token i lies in, out of its tokens, or ''. */
  wordAt(i) {
    const word = this.words?.[i] ?? -1;
    if (word < 0) return '';
    let begin = i;
    let end = i + 1;
    while (begin > 0 && this.words[begin - 1] === word) --begin;
    while (end < this.n && this.words[end] === word) ++end;
    return end - begin > 1 ? this.text.slice(begin, end).join('').trim() : '';
  }
}
