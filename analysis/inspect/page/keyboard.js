// Keys that work wherever no field or button takes them.

function listenToKeys(page) {
  const focusText = () => byId('text').focus({preventScroll: true});
  const actions = {
    ArrowLeft: () => page.step(-1),
    ArrowRight: () => page.step(1),
    ArrowUp: () => page.stepLine(-1),
    ArrowDown: () => page.stepLine(1),
    Enter: () => page.togglePin(),
    Escape: () => page.letGo(),
    m: () => page.goToMeasured(1),
    M: () => page.goToMeasured(-1),
    '[': () => page.stepLayer(-1),
    ']': () => page.stepLayer(1),
    ',': () => page.stepSignal(-1),
    '.': () => page.stepSignal(1),
    '/': () => byId('search').focus(),
    t: () => page.toggleTheme(),
    '?': () => byId('help').showModal(),
  };
  const isMove = (key) => key.startsWith('Arrow') || key === 'm' || key === 'M';

  document.addEventListener('keydown', (event) => {
    const {key, target} = event;
    const isTaken =
        target.matches('input, select, textarea, button, summary, a') || byId('help').open;
    if (isTaken && !(key === 'Escape' && !byId('help').open)) return;
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(actions, key)) return;
    if (target.matches('.scrolled') && isMove(key)) return;
    event.preventDefault();
    if (isMove(key)) focusText();
    actions[key]();
  });
}
