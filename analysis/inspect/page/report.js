// The report: the tables of `longshadow analyze`, as it spells them.

/** Paragraphs of a text whose lines were broken for a terminal. */
function paragraphs(text) {
  return text.trim() === '' ? [] : [make('p', {}, text.trim())];
}

function headRow(view) {
  let column = 0;
  return make('tr', {}, ...view.heads.map(({text, span}) => {
    const isAtEnd = view.ends[column] && span === 1;
    column += span;
    return text === '' ?
        make('td', {colSpan: span}) :
        make('th', {scope: 'col', colSpan: span, className: isAtEnd ? 'end' : 'start'}, text);
  }));
}

/** The first text of a line names it. */
function lineRow(view, texts) {
  return make('tr', {}, ...texts.map((text, k) => {
    const properties = {className: view.ends[k] ? 'end' : 'start'};
    return k === 0 ? make('th', {...properties, scope: 'row'}, text) : make('td', properties, text);
  }));
}

function viewElements(view) {
  const title = view.title || view.heads[0].text;
  const table = make(
      'table', {}, make('caption', {className: 'unseen'}, title), make('thead', {}, headRow(view)),
      make('tbody', {}, ...view.lines.map((texts) => lineRow(view, texts))));
  // What is wider than the window scrolls, by the keys too.
  const scrolled =
      make('div', {className: 'scrolled', tabIndex: 0, role: 'region', 'aria-label': title}, table);
  const shownTitle = view.title ? [make('h4', {}, view.title)] : [];
  return [...paragraphs(view.before), ...shownTitle, scrolled, ...paragraphs(view.after)];
}

/** The tables of one document, and of what concerns them all; made when the report is opened. */
class ReportTables {
  constructor(details, sections, documents) {
    Object.assign(this, {details, sections, documents});
    this.root = details.querySelector('div');
    details.addEventListener('toggle', () => this.paint());
  }

  show(name) {
    this.name = name;
    this.shown = null;
    this.paint();
  }

  paint() {
    if (!this.details.open || this.shown === this.name) return;
    this.shown = this.name;
    const isAside = (section) =>
        section.is_in_list && section.name !== this.name && this.documents.includes(section.name);
    const sections = this.sections.filter((section) => !isAside(section));
    this.root.replaceChildren(...sections.flatMap((section) => this.sectionElements(section)));
  }

  /** What must be known of a kind of section stands before the first of the kind. */
  sectionElements(section) {
    const preface = this.sections.find(({key}) => key === section.key).preface;
    const [heading, ...rest] = section.introduction.trim().split('\n');
    return [
      ...paragraphs(preface),
      ...(heading === '' ? [] : [make('h3', {}, heading)]),
      ...paragraphs(rest.join('\n')),
      ...section.views.flatMap(viewElements),
    ];
  }
}
