// What is known of one token, or of one set of tokens that were removed at once.

function showToken(panel, page, i) {
  const policies = [...retentionTable(page, i), ...lossFigure(page)];
  const values = [...influenceFigures(page, i), valueTable(page, i), ...layerFigure(page, i)];
  const isAboutPolicies = page.signal.kind === 'share';
  panel.replaceChildren(
      tokenHeading(page, i), ...(isAboutPolicies ? policies : values),
      ...(isAboutPolicies ? values : policies), ...setList(page));
  panel.dataset.token = i;
}

function showSet(panel, page, s) {
  const set = page.doc.influence.subjects[s];
  delete panel.dataset.token;
  panel.replaceChildren(
      make('h2', {className: 'glyph'}, set.group),
      make(
          'p', {className: 'facts'},
          `a set of ${count(set.removed.length)} tokens, removed at once`),
      ...curveFigure(page, set), ...setList(page));
}

function showNothing(panel, page) {
  delete panel.dataset.token;
  const hint = 'Point at a token for its values. Click one, or press Enter, to pin it.';
  panel.replaceChildren(make('p', {className: 'hint'}, hint), ...runFacts(page), ...setList(page));
}

function tokenHeading(page, i) {
  const {doc, run} = page;
  const facts = [`token ${count(i)} of ${count(doc.n)}`];
  if (doc.tags) facts.push(run.tags[doc.tags[i]] === 'NONE' ? 'no word' : run.tags[doc.tags[i]]);
  const word = doc.wordAt(i);
  if (word) facts.push(`in “${word}”`);
  if (doc.nBytes[i] !== 1) facts.push(`${doc.nBytes[i]} bytes`);
  if (i >= doc.context) facts.push('after the context');
  return make(
      'div', {className: 'heading'},
      make('h2', {className: 'glyph', dir: 'auto'}, visible(doc.text[i])),
      make('p', {className: 'facts'}, facts.join(' · ')));
}

function valueTable(page, i) {
  const rows = [];
  for (const signal of page.signals) {
    const isShown = signal === page.signal;
    const value = signal.show(i, isShown ? page.view : WHOLE);
    if (signal.kind !== 'number' || value === NOT_MEASURED) continue;
    rows.push(make(
        'tr', {className: isShown ? 'shown' : ''},
        make('th', {scope: 'row', title: signal.meaning}, signal.name), make('td', {}, value)));
  }
  return make(
      'table', {className: 'values'}, make('caption', {className: 'unseen'}, 'Its values'),
      make('tbody', {}, ...rows));
}

function influenceFigures(page, i) {
  const {influence} = page.doc;
  if (!influence) return [];
  const s = influence.subjectOf[i];
  if (s < 0) {
    const next = make('button', {type: 'button', className: 'quiet'}, 'next measured token');
    next.addEventListener('click', () => {
      byId('text').focus({preventScroll: true});
      page.goToMeasured(1);
    });
    return [make('p', {className: 'note'}, 'Its influence was not measured by itself. ', next)];
  }
  return curveFigure(page, influence.subjects[s]);
}

function curveFigure(page, subject) {
  const {influence} = page.doc;
  const {index, begin, end, removed} = subject;
  const values = influence.curve(index);
  const first = influence.firstDistance(index);
  const steps = removed ? [] : binSteps(page, index);
  const name =
      removed ? `the set ${subject.group}` : `“${page.doc.text.slice(begin, end).join('').trim()}”`;
  const under = values.filter((value) => value === 0).length;
  const missing = values.filter(Number.isNaN).length;
  const caption = [
    `Influence of ${name}`, end - begin > 1 && !removed ? `, a span of ${end - begin} tokens` : '',
    `, at ${removed ? 'positions after it left' : 'each distance'}`,
    steps.length ? '; bars are means of bins, dashed the median subject' : '', '. ',
    floorSentence(influence, under), missing ? ` ${missing} were not measured.` : ''
  ];
  const description = `${caption.join('')} ${spokenCurve(page, index)}`;
  return [make(
      'figure', {className: 'curve'}, drawCurve({
        values,
        first,
        floor: influence.floor,
        steps,
        description,
        axisName: removed ? 'positions after it left' : 'distance, tokens'
      }),
      make('figcaption', {}, caption.join('')))];
}

function floorSentence(influence, under) {
  const floor = Math.max(...influence.floor);
  if (floor === 0) return 'This method has no noise floor.';
  return `Noise floor ${digits(floor, 2)} nats: ${under} of ${
             influence.horizon} values lie at or ` +
      `under it${under ? ', marked at the foot' : ''}.`;
}

/** The curve for who does not see it: its bins. */
function spokenCurve(page, s) {
  const {influence} = page.doc;
  return influence.bins
      .map((bin, k) => {
        const found = influence.meanOver(s, k);
        return found && !found.isUnknown ?
            `Distance ${distances(bin)}: ${digits(found.mean, 2)} nats.` :
            '';
      })
      .join(' ');
}

function binSteps(page, s) {
  const {influence} = page.doc;
  return influence.bins.flatMap(([begin, end], bin) => {
    const found = influence.meanOver(s, bin);
    const steps = [];
    const median = page.medians[bin];
    if (median > 0) steps.push({begin, end, value: median, className: 'median'});
    if (found && !found.isUnknown) steps.push({begin, end, value: found.mean, className: 'mean'});
    return found ? steps : [];
  });
}

/** The median subject's influence in each bin. */
function medianBySubject(influence) {
  if (!influence) return [];
  return influence.bins.map((_, bin) => {
    const means = [...influence.rowOf.keys()].map((s) => influence.meanOver(s, bin));
    return quantiles(
        means.map((found) => found ? (found.isUnknown ? 0 : found.mean) : NaN), [0.5])[0];
  });
}

/** The shown signal of the token in each layer and head; a click shows that layer. */
function layerFigure(page, i) {
  const {signal, view} = page;
  const layered = signal.layered;
  if (!layered?.at || i >= layered.columns) return [];
  const cell = {width: 344 / layered.nLayers, height: layered.heads > 1 ? 11 : 18};
  const height = cell.height * layered.heads + 16;
  const svg = draw('svg', {
    viewBox: `0 0 360 ${height}`,
    role: 'img',
    class: 'layers',
    'aria-label': `${signal.name} of the token, layer by layer`
  });
  const values =
      range(layered.heads).map((h) => range(layered.nLayers).map((l) => layered.at(l, h, i)));
  const domain = domainOf(signal, Float32Array.from(values.flat()));
  const ramp = ramps[page.theme].number;
  values.forEach((row, h) => row.forEach((value, l) => {
    const step = Math.round((place(domain, value) || 0) * (STEPS - 1));
    const isShown = l === view.layer && (view.head < 0 || h === view.head);
    const box = draw('rect', {
      x: 8 + l * cell.width,
      y: h * cell.height,
      width: cell.width - 0.6,
      height: cell.height - 0.6,
      class: isShown ? 'shown' : ''
    });
    box.style.fill = ramp[step].background;
    const where = layered.heads > 1 ? `layer ${l}, KV head ${h}` : `layer ${l}`;
    box.append(draw('title', {}, `${where}: ${digits(value, 3)}`));
    box.addEventListener('click', () => page.setView({layer: l, head: layered.heads > 1 ? h : -1}));
    svg.append(box);
  }));
  svg.append(
      draw('text', {x: 8, y: height - 3}, 'layer 0'),
      draw('text', {x: 352, y: height - 3, 'text-anchor': 'end'}, String(layered.nLayers - 1)));
  const heads = layered.heads > 1 ? ', a row for each KV head' : '';
  return [make(
      'figure', {}, svg,
      make('figcaption', {}, `${signal.name} by layer${heads}; click to shade by one.`))];
}

/** What every policy does with the token, and what that costs the predictions. */
function retentionTable(page, i) {
  const {retention, context} = page.doc;
  if (retention.length === 0) return [];
  const rows = retention.map((policy) => {
    const kept = i < context ? percent(policy.share(page.view, i)) : '';
    const agreed = policy.top1.reduce((sum, same) => sum + same, 0) / policy.top1.length;
    const kl = policy.kl.reduce((sum, nats) => sum + nats, 0) / policy.kl.length;
    return make(
        'tr', {}, make('th', {scope: 'row'}, policy.name),
        ...[kept, percent(policy.bytesShare), digits(kl, 3), percent(agreed)].map(
            (text) => make('td', {}, text)));
  });
  const columns = ['policy', 'keeps it', 'bytes', 'mean KL', 'same top 1'];
  return [make(
      'table', {className: 'policies'},
      make(
          'caption', {},
          'Policies: the share of the token’s slots in the shown layers and ' +
              'heads; the cache’s bytes; what the predictions after it lose, in nats'),
      make('thead', {}, make('tr', {}, ...columns.map((c) => make('th', {scope: 'col'}, c)))),
      make('tbody', {}, ...rows))];
}

/** What the predictions after the context lose under the chosen policy. */
function lossFigure(page) {
  if (page.signal.kind !== 'share') return [];
  const {name, kl} = page.doc.retention[page.policy];
  const caption =
      `What ${name} changes in each later prediction: the KL divergence from the full cache’s.`;
  return [make(
      'figure', {className: 'loss'}, drawCurve({
        values: kl,
        first: 1,
        floor: [0],
        steps: [],
        description: caption,
        axisName: 'positions after the context'
      }),
      make('figcaption', {}, caption))];
}

function setList(page) {
  const sets = page.doc.influence?.sets ?? [];
  if (sets.length === 0) return [];
  const items = sets.map((set) => {
    const isPinned = page.pinnedSet === set.index;
    const button = make(
        'button', {type: 'button', className: 'quiet', 'aria-pressed': String(isPinned)},
        `${set.group}: ${count(set.removed.length)} tokens`);
    button.addEventListener('click', () => page.pinSet(isPinned ? -1 : set.index));
    return make('li', {}, button);
  });
  return [make(
      'section', {className: 'sets'}, make('h3', {}, 'Sets removed at once'),
      make('ul', {}, ...items))];
}

function runFacts(page) {
  const {doc, run} = page;
  const {influence, sketch} = doc;
  const facts = [
    `${run.model.name}: ${run.model.n_layers} layers, ${run.model.n_kv_heads} KV heads.`,
    `A context of ${count(doc.context)} tokens, then ${count(doc.n - doc.context)} more.`
  ];
  if (influence) {
    const at = influence.evict_at === 'end' ? 'when the context ends' :
                                              `${influence.lag} tokens after they were written`;
    const where = influence.layers === 'all' && influence.heads === 'all' ?
        '' :
        ` from layers ${influence.layers}, KV heads ${influence.heads}`;
    facts.push(
        `${count(influence.subjects.length)} subjects (${influence.selection}) leave${where} ${
            at}; ` +
        `${influence.horizon} positions are measured, ${influence.method} ${influence.precision}.`);
    if (!doc.complete) facts.push('Some subjects are not measured: the run was cut short.');
  }
  if (sketch) facts.push(`The sketch took ${sketch.probes} probes a bin (${sketch.probe_kind}).`);
  return facts.map((fact) => make('p', {className: 'facts'}, fact));
}
