// Numbers and elements, as all of the page writes them.

const range = (n) => Array.from({length: n}, (_, i) => i);

const SUPERSCRIPT = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** `value` with so many significant digits: 0.01234, 3.210×10⁻⁵. */
function digits(value, count = 4) {
  if (value === 0) return '0';
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-3 && magnitude < 1e5) return String(Number(value.toPrecision(count)));
  const [mantissa, exponent] = value.toExponential(count - 1).split('e');
  const raised = String(Number(exponent)).replace('-', '⁻').replace(/\d/g, (c) => SUPERSCRIPT[c]);
  return `${mantissa}×10${raised}`;
}

/** 12,345 */
const count = (n) => n.toLocaleString('en-US');

const percent = (share) => `${digits(100 * share, 3)}%`;

/** The q-quantile of the finite ones of `values`; NaN where there is none. */
function quantiles(values, shares) {
  const sorted = Float32Array.from(values.filter(Number.isFinite)).sort();
  return shares.map((q) => sorted.length ? sorted[Math.round(q * (sorted.length - 1))] : NaN);
}

/** An HTML element with properties and children; text is only ever text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  return furnish(element, properties, children);
}

/** The same for SVG. */
function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function furnish(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('aria-') || name === 'role')
      element.setAttribute(name, value);
    else
      element[name] = value;
  }
  element.append(...children);
  return element;
}

const byId = (id) => document.getElementById(id);

/** A token's text as a word of a sentence: blanks and line ends by their names. */
function spoken(text) {
  const names = {' ': 'space', '\n': 'line end', '\t': 'tab', '\r': 'carriage return'};
  if (text.trim() !== '') return text.trim();
  return [...text].map((c) => names[c] ?? 'blank').join(', ') || 'empty';
}

/** A token's text with its blanks visible. */
function visible(text) {
  const marks = {' ': '·', '\n': '↵', '\t': '⇥', '\r': '␍'};
  return text.replace(/[ \n\t\r]/g, (blank) => marks[blank]) || '∅';
}
