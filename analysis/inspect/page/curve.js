// A curve of KL against distance, both on logarithmic axes.

const PLOT = {
  width: 360,
  height: 216,
  left: 46,
  right: 8,
  top: 8,
  bottom: 34
};

/** A logarithmic axis from `low` to `high`, onto pixels. */
function logAxis(low, high, from, to) {
  const scale = (to - from) / Math.log(high / low);
  return (value) => from + scale * Math.log(value / low);
}

/**
 * `values` [H] at distances first, first + 1, ...: NaN where not measured, 0 at or under `floor`
 * [H], which are marked along the foot. `steps`: {begin, end, value, className} of bins, drawn over
 * them.
 */
function drawCurve({values, first, floor, steps, axisName, description}) {
  const positive = values.filter((value) => value > 0);
  const highest = Math.max(...positive, ...steps.map((step) => step.value));
  const lowest = Math.min(...positive, ...steps.map((step) => step.value));
  if (!(highest > 0)) return make('p', {className: 'note'}, 'No value above the noise floor.');

  const largestFloor = Math.max(...floor);
  const isFloorNear = largestFloor > lowest / 1000;
  const low =
      10 ** Math.floor(Math.log10(isFloorNear ? Math.min(lowest, largestFloor) / 2 : lowest));
  const high = 10 ** Math.ceil(Math.log10(highest * 1.05));
  const {width, height, left, right, top, bottom} = PLOT;
  const last = first + values.length - 1;
  const x = logAxis(first, Math.max(last, first + 1), left, width - right);
  const y = logAxis(low, high, height - bottom, top);

  const svg =
      draw('svg', {viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': description});
  svg.append(...drawAxes(x, y, first, last, low, high, axisName));
  if (isFloorNear && largestFloor > 0) svg.append(drawFloor(x, y, first, floor));
  svg.append(draw('path', {class: 'values', d: brokenPath(values, (h) => x(first + h), y)}));
  for (const {begin, end, value, className} of steps) {
    const [from, to] = [Math.max(begin, first), Math.min(end - 1, last)];
    svg.append(draw(
        'line', {class: className, x1: x(from) - 1, x2: x(to) + 1, y1: y(value), y2: y(value)}));
  }
  const under = range(values.length).filter((h) => values[h] === 0);
  const ticks = under.map((h) => `M${x(first + h).toFixed(1)} ${height - bottom}v-5`);
  svg.append(draw('path', {class: 'under', d: ticks.join('')}));
  return svg;
}

/** A line through the values above 0, broken where there is none; one alone becomes a dot. */
function brokenPath(values, x, y) {
  let path = '';
  let isOpen = false;
  values.forEach((value, h) => {
    if (!(value > 0)) {
      isOpen = false;
      return;
    }
    path += `${isOpen ? 'L' : 'M'}${x(h).toFixed(1)} ${y(value).toFixed(1)}`;
    if (!isOpen && !(values[h + 1] > 0)) path += 'h0.01';
    isOpen = true;
  });
  return path;
}

function drawFloor(x, y, first, floor) {
  const {height, bottom} = PLOT;
  const edge = [...floor].map(
      (nats, h) => `${x(first + h).toFixed(1)} ${nats > 0 ? y(nats).toFixed(1) : height - bottom}`);
  const last = x(first + floor.length - 1).toFixed(1);
  const foot = height - bottom;
  const path = `M${x(first).toFixed(1)} ${foot}L${edge.join('L')}L${last} ${foot}Z`;
  return draw('path', {class: 'floor', d: path});
}

function drawAxes(x, y, near, far, low, high, axisName) {
  const {width, height, left, right, top, bottom} = PLOT;
  const marks = [];
  const decades = Math.round(Math.log10(high / low));
  const every = Math.ceil(decades / 5);
  for (let k = 0; k <= decades; k += every) {
    const at = y(low * 10 ** k);
    const power = Math.round(Math.log10(low)) + k;
    marks.push(
        draw('line', {class: 'grid', x1: left, x2: width - right, y1: at, y2: at}),
        draw(
            'text', {x: left - 6, y: at + 3.5, 'text-anchor': 'end'}, '10',
            draw('tspan', {dy: -4, class: 'power'}, String(power).replace('-', '−'))));
  }
  const foot = height - bottom;
  marks.push(draw('line', {class: 'axis', x1: left, x2: width - right, y1: foot, y2: foot}));
  for (const distance of distanceTicks(near, far)) {
    const at = x(distance);
    const anchor = distance === far && far > near ? 'end' : 'middle';
    marks.push(
        draw('line', {class: 'axis', x1: at, x2: at, y1: foot, y2: foot + 4}),
        draw(
            'text', {x: anchor === 'end' ? at + right : at, y: foot + 15, 'text-anchor': anchor},
            String(distance)));
  }
  marks.push(
      draw(
          'text',
          {class: 'name', x: (left + width - right) / 2, y: height - 3, 'text-anchor': 'middle'},
          axisName),
      draw('text', {class: 'name', x: left + 4, y: top + 8}, 'nats'));
  return marks;
}

/** The ends, and powers of two between them that do not crowd. */
function distanceTicks(near, far) {
  if (far <= near) return [near];
  const inside = range(15).map((k) => 2 ** k).filter((d) => d > near * 1.25 && d < far / 1.25);
  const wide = inside.length > 6 ? inside.filter((_, k) => k % 2 === 0) : inside;
  return [near, ...wide, far];
}
