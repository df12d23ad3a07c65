// From numbers to shades. A ramp goes from the paper to the deepest shade with lightness falling
// (on paper) or rising (in the dark) all the way, so that it reads the same without colour vision.

const STEPS = 64;
const RAMPS = {
  light: {
    number: ['#fbfaf6', '#fbeec8', '#f6cf75', '#e69a3c', '#bd5a2b', '#7a2a22'],
    share: ['#fbfaf6', '#e3eef6', '#bcd9ee']
  },
  dark: {
    number: ['#15171b', '#2c261f', '#5b4019', '#9a6a1d', '#d9a441', '#fbe3a0'],
    share: ['#15171b', '#1c2c3a', '#25496a']
  },
};

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
const toLinear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const fromLinear = (c) => c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055;

/** Relative luminance of WCAG 2. */
function luminance(rgb) {
  const [r, g, b] = rgb.map(toLinear);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** WCAG 2's contrast of two colours. */
function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const ENOUGH_CONTRAST = 4.5;  // WCAG 2, level AA; black or white has it on any colour

/**
 * STEPS shades {background, ink}, between the stops in linear light. The ink is '', the theme's
 * own, or black or white where that would be hard to read.
 */
function makeRamp(stops, ownInk) {
  return range(STEPS).map((step) => {
    const at = step / (STEPS - 1) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    const [from, to] = [channels(stops[left]), channels(stops[left + 1])];
    const mix = from.map(
        (c, k) => fromLinear(toLinear(c) * (1 - at + left) + toLinear(to[k]) * (at - left)));
    const strongest = luminance(mix) > 0.179 ? '#000000' : '#ffffff';
    return {
      background: `rgb(${mix.map((c) => Math.round(255 * c)).join(' ')})`,
      ink: contrast(mix, channels(ownInk)) >= ENOUGH_CONTRAST ? '' : strongest
    };
  });
}

const INKS = {
  light: '#1d1b18',
  dark: '#e6e2d9'
};  // --ink of the style sheet

const ramps = Object.fromEntries(Object.entries(RAMPS).map(
    ([
      theme, {number, share}
    ]) => [theme, {number: makeRamp(number, INKS[theme]), share: makeRamp(share, INKS[theme])}]));

const rampOf = (theme, {kind}) => ramps[theme][kind === 'share' ? 'share' : 'number'];

/** What the ramp spans: most of the values, so that one outlier does not whiten the rest. */
function domainOf(signal, tokens) {
  const values = signal.spanned ?? tokens;
  if (signal.kind === 'share') return {low: 0, high: 1, log: false};
  if (signal.scale === 'log') {
    const [low, high] = quantiles(values.filter((value) => value > 0), [0.05, 0.995]);
    return {low, high: Math.max(high, low * 1.01), log: true};
  }
  const [low, high] = quantiles(values, [0.01, 0.99]);
  return {low: signal.unit === 'nats' ? 0 : low, high: Math.max(high, low + 1e-9), log: false};
}

/** Where `value` lies in the domain, 0 to 1; NaN for none. */
function place(domain, value) {
  if (Number.isNaN(value)) return NaN;
  const {low, high, log} = domain;
  if (log && value <= 0) return 0;
  const at = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return Math.min(1, Math.max(0, at));
}

/** The step of the ramp for each value, -1 for none. */
function stepsOf(domain, values) {
  return Int16Array.from(values, (value) => {
    const at = place(domain, value);
    return Number.isNaN(at) ? -1 : Math.round(at * (STEPS - 1));
  });
}

/** The ramp as a strip with its ends' and middle's values. */
function numberLegend(signal, domain, ramp) {
  if (Number.isNaN(domain.low)) return [make('span', {className: 'unit'}, 'no values to shade by')];
  const middle = domain.log ? Math.sqrt(domain.low * domain.high) : (domain.low + domain.high) / 2;
  const bar = make('span', {className: 'bar'});
  bar.style.background = `linear-gradient(to right, ${ramp.map((s) => s.background).join(',')})`;
  const written = (value) => signal.kind === 'share' ? percent(value) : digits(value, 2);
  const label = (value) => make('span', {}, written(value));
  return [
    make(
        'span', {className: 'scale'}, bar,
        make('span', {className: 'ticks'}, label(domain.low), label(middle), label(domain.high))),
    make('span', {className: 'unit'}, signal.unit + (domain.log ? ', log scale' : '')),
  ];
}

function tagLegend() {
  return TAG_CLASSES.map(({name}, k) => make('span', {className: `sample tag-${k}`}, name));
}
