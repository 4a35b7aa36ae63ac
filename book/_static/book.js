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

/* The network that runs in a page is fetched when a reader asks for it (network/try_it.mjs). Files opened without a server
   may not import any. */
addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-try-it]").forEach(host => {
  if (typeof WebAssembly !== "object" || location.protocol === "file:") return;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Fetch the network and run it here (13 MB)" });
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.textContent = "Fetching …";
    try {
      await (await import("./network/try_it.mjs")).start(host);
    } catch (problem) {
      said.textContent = `The network does not run in this browser: ${problem.message ?? problem}.`;
      host.replaceChildren(said);
    }
  });
  host.replaceChildren(button, said);
}));

/* A term's meaning: on a phone, where nothing hovers, the first tap shows it and the second leads to the glossary;
   Escape takes it away until the pointer comes again. */
addEventListener("click", event => {
  const term = event.target.closest("a.term"), shown = term?.matches(".shown");
  document.querySelectorAll("a.term.shown").forEach(e => e.classList.remove("shown"));
  if (term && !shown && matchMedia("(hover: none)").matches) { event.preventDefault(); term.classList.add("shown"); }
});
addEventListener("keydown", event => event.key === "Escape" && document.querySelectorAll("a.term:is(:hover, :focus, .shown)").forEach(e => {
  e.classList.remove("shown");
  e.classList.add("quiet");
  for (const back of ["pointerenter", "blur"]) e.addEventListener(back, () => e.classList.remove("quiet"), {once: true});
}));
