// What a token can be shaded by. A signal gives one number a token, NaN for none:
//   id, group, name     as the chooser lists it
//   unit                of its numbers
//   scale               'log' or 'linear'
//   kind                'number', 'sentence' (influence on sentences), 'tag' (part of speech) or
//                       'share' (of slots that a policy keeps)
//   layered             Layered, where it has layers; else null
//   spanned             the numbers that the shades span, where they are not the tokens' alone
//   values(view)        Float32Array [n]
//   show(i, view)       the value with its unit, as exact as the page has it

const NAMES = {
  'entropy-before': 'entropy before',
  'entropy-at': 'entropy at',
  'surprisal': 'surprisal',
  'drift': 'drift',
  'attention-window': 'attention, last queries',
  'attention-cumulative': 'attention, later queries',
};
const SCALAR_UNITS = {
  'entropy-before': 'nats',
  'entropy-at': 'nats',
  'entropy-topk': 'nats',
  'surprisal': 'nats',
};
const LAYERED_UNITS = {
  'drift': '1 − cos',
  'attention-window': 'weight',
  'attention-cumulative': 'weight',
};

const NOT_MEASURED = 'not measured';

const withUnit = (value, unit) => Number.isNaN(value) ? 'none' : `${digits(value)} ${unit}`;

function scalarSignal(doc, id, meaning) {
  const values = decode(doc.scalars[id]);
  const name = id === 'entropy-topk' ? `entropy at, top ${doc.entropyK}` : NAMES[id];
  return {
    id,
    group: 'The model’s uncertainty',
    name,
    meaning,
    unit: SCALAR_UNITS[id],
    scale: 'linear',
    kind: 'number',
    layered: null,
    values: () => values,
    show: (i) => withUnit(values[i], SCALAR_UNITS[id]),
  };
}

/** Exact where it is the mean over layers and heads, which the run file's scalars give. */
function layeredSignal(doc, id, meaning) {
  const layered = doc.layered[id];
  const mean = decode(doc.scalars[id]);
  const inside = id === 'drift' ? doc.n : doc.context;  // attention is of the context alone
  const isMean = (view) => view.layer < 0 && view.head < 0;
  const values = (view) => isMean(view) ? mean : layered.row(view.layer, view.head);
  return {
    id,
    group: 'Inside the model',
    name: NAMES[id],
    meaning,
    unit: LAYERED_UNITS[id],
    scale: id === 'drift' ? 'linear' : 'log',
    kind: 'number',
    layered,
    values: (view) => values(view).map((value, i) => i < inside ? value : NaN),
    show(i, view) {
      if (i >= inside) return 'none';
      if (isMean(view)) return withUnit(mean[i], this.unit);
      const value = layered.mean(view, i);
      if (value === 0) return `under ${digits(layered.array.low, 2)} ${this.unit}`;
      return `≈ ${digits(value, 3)} ${this.unit}`;
    },
  };
}

const distances = ([begin, end]) => `${begin}–${end - 1}`;

/** Influence of the smallest span that a token was removed with, in a distance bin. */
function influenceSignal(doc, id, bin) {
  const influence = doc.influence;
  const mean = (i) => {
    const s = influence.subjectOf[i];
    return s < 0 ? null : influence.meanOver(s, bin);
  };
  const values = Float32Array.from({length: doc.n}, (_, i) => {
    const found = mean(i);
    return found && !found.isUnknown ? found.mean : NaN;
  });
  return {
    id,
    group: 'Influence, measured',
    name: `${id}, distance ${distances(influence.bins[bin])}`,
    meaning: 'mean KL divergence of later predictions once the token is gone',
    unit: 'nats',
    scale: 'log',
    kind: 'number',
    layered: null,
    values: () => values,
    show(i) {
      const found = mean(i);
      if (!found) return NOT_MEASURED;
      if (found.isUnknown) return `≤ ${digits(found.mean, 2)} nats, the noise floor`;
      return `${found.isBound ? '≤ ' : ''}${digits(found.mean)} nats`;
    },
  };
}

function sketchSignal(doc, bin) {
  const {sketch, context} = doc;
  const fi = decode(sketch.fi).subarray(bin * context, (bin + 1) * context);
  const error = decode(sketch.standard_error).subarray(bin * context, (bin + 1) * context);
  const layered = doc.sketchParts?.[bin] ?? null;
  const isWhole = (view) => !layered || (view.layer < 0 && view.head < 0);
  const padded = (values) => Float32Array.from({length: doc.n}, (_, i) => values[i] ?? NaN);
  const whole = padded(fi);
  return {
    id: `sketch-${bin}`,
    group: 'Influence, sketched',
    name: `sketch, ${distances(sketch.bins[bin])} on`,
    meaning: 'the Fisher sketch: an estimate of the influence of leaving when the context ends',
    unit: 'nats',
    scale: 'log',
    kind: 'number',
    layered,
    values: (view) => isWhole(view) ? whole : padded(layered.row(view.layer, view.head)),
    show(i, view) {
      if (i >= context) return 'none';
      if (isWhole(view)) return `${digits(fi[i])} ± ${digits(error[i], 2)} nats`;
      return `≈ ${digits(layered.mean(view, i), 3)} nats`;
    },
  };
}

/** The classes that parts of speech are shaded in: each has a colour and a line of its own. */
const TAG_CLASSES = [
  {name: 'nouns', tags: ['NOUN', 'PROPN']},
  {name: 'verbs', tags: ['VERB', 'AUX']},
  {name: 'adjectives, adverbs', tags: ['ADJ', 'ADV']},
  {name: 'function words', tags: ['ADP', 'CCONJ', 'DET', 'PART', 'PRON', 'SCONJ']},
  {name: 'numbers, symbols', tags: ['NUM', 'SYM']},
  {name: 'others', tags: ['INTJ', 'PUNCT', 'X']},
];

function tagSignal(doc, tagNames) {
  const classOf = tagNames.map((tag) => TAG_CLASSES.findIndex(({tags}) => tags.includes(tag)));
  const values = Float32Array.from(doc.tags, (tag) => classOf[tag] < 0 ? NaN : classOf[tag]);
  return {
    id: 'tag',
    group: 'Words',
    name: 'part of speech',
    meaning: 'universal part-of-speech tag',
    unit: '',
    scale: 'linear',
    kind: 'tag',
    layered: null,
    values: () => values,
    show: (i) => tagNames[doc.tags[i]],
  };
}

/** Which tokens the chosen policy keeps. */
function keptSignal(page) {
  const {doc} = page;
  const shares = (policy, view) => {
    const inside = doc.retention[policy].shares(view);
    return Float32Array.from({length: doc.n}, (_, i) => inside[i] ?? NaN);
  };
  return {
    id: 'kept',
    group: 'Policies',
    name: 'kept by a policy',
    meaning: 'share of the token’s slots, one for each layer and KV head, that the policy keeps',
    unit: 'of slots kept',
    scale: 'linear',
    kind: 'share',
    layered: {nLayers: doc.retention[0].nLayers, heads: doc.retention[0].heads},
    values: (view, policy = page.policy) => shares(policy, view),
    show: (i, view) =>
        i < doc.context ? `${percent(doc.retention[page.policy].share(view, i))} of slots` : 'none',
  };
}

function signalsOf(page) {
  const {doc, run} = page;
  const list = [];
  if (doc.influence?.bins.length) {
    list.push(influenceSignal(doc, 'near', doc.influence.near));
    list.push(influenceSignal(doc, 'far', doc.influence.far));
  }
  if (doc.sentences) list.push(sentenceSignal(page));
  if (doc.sketch) list.push(...doc.sketch.bins.map((_, bin) => sketchSignal(doc, bin)));
  for (const id of ['entropy-before', 'entropy-at', 'entropy-topk', 'surprisal']) {
    list.push(scalarSignal(doc, id, run.signals[id] ?? ''));
  }
  for (const id of Object.keys(doc.layered)) list.push(layeredSignal(doc, id, run.signals[id]));
  if (doc.retention.length) list.push(keptSignal(page));
  if (doc.tags) list.push(tagSignal(doc, run.tags));
  return list;
}
