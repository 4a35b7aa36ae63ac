/* What scrolls sideways must be reachable by keyboard. Watched, not asked once: a table may be hidden until it is
   opened, an equation is typeset late, a phone may be turned. */
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const watch = new ResizeObserver(entries => entries.forEach(({target: e}) => {
    const scrolls = e.scrollWidth > e.clientWidth + 1;
    e.tabIndex = scrolls ? 0 : -1;
    if (scrolls && e.matches("mjx-container")) { e.setAttribute("role", "group"); e.setAttribute("aria-label", "equation, scrolls sideways"); }
  }));
  document.querySelectorAll(".cell_output > .output, div.math mjx-container, .bd-content pre").forEach(e => watch.observe(e));
});
