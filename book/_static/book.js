/* What scrolls sideways must be reachable by keyboard. Watched, not asked once: a table may be hidden until it is
   opened, an equation is typeset late, a phone may be turned. */
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  // what is cut on the right fades there until it is scrolled to its end
  const fade = e => e.classList.toggle("more", e.scrollLeft + e.clientWidth < e.scrollWidth - 2);
  const watch = new ResizeObserver(entries => entries.forEach(({target: e}) => {
    const scrolls = e.scrollWidth > e.clientWidth + 1;
    fade(e);
    e.tabIndex = scrolls ? 0 : -1;
    if (scrolls && e.matches("mjx-container")) { e.setAttribute("role", "group"); e.setAttribute("aria-label", "equation, scrolls sideways"); }
  }));
  document.querySelectorAll(".cell_output .output, div.math mjx-container, .bd-content pre, .scrolls").forEach(e => {
    watch.observe(e);
    e.addEventListener("scroll", () => fade(e), {passive: true});
  });
});

/* A link to a line inside what is folded opens it. */
const unfold = () => {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let e = target.closest("details"); e; e = e.parentElement.closest("details")) e.open = true;
  target.scrollIntoView();
};
addEventListener("hashchange", unfold);

/* Who copies a number copies how sure it is, where that is known. */
addEventListener("copy", event => {
  const number = getSelection().anchorNode?.parentElement?.closest("a.val");
  const exact = number && document.getElementById(number.hash.slice(1))?.dataset.copy;
  if (exact && getSelection().toString().trim() === number.textContent.trim()) {
    event.clipboardData.setData("text/plain", exact);
    event.preventDefault();
  }
});

/* The claims table by paper, topic, verdict and evidence; without this script all of it is there. The address takes the
   same: verdicts.html?verdict=contradicted. */
addEventListener("DOMContentLoaded", () => {
  unfold();
  const rows = [...document.querySelectorAll("table.claims tr[data-verdict]")];
  if (!rows.length) return;
  const asked = new URLSearchParams(location.search), form = document.createElement("form");
  const count = Object.assign(document.createElement("output"), {className: "count"});
  form.className = "filters";
  form.setAttribute("aria-label", "Which claims to show");
  const selects = ["paper", "topic", "verdict", "evidence"].map(kind => {
    const label = document.createElement("label"), select = document.createElement("select");
    const values = [...new Set(rows.map(row => row.dataset[kind]))];
    select.name = kind;
    select.append(new Option("all", ""), ...values.map(value => new Option(value, value)));
    select.value = values.includes(asked.get(kind)) ? asked.get(kind) : "";
    label.append(kind[0].toUpperCase() + kind.slice(1), select);
    form.append(label);
    return select;
  });
  form.append(count);
  const show = () => {
    rows.forEach(row => { row.hidden = !selects.every(s => !s.value || row.dataset[s.name] === s.value); });
    document.querySelectorAll("section:has(> .cell table.claims tr[data-verdict])").forEach(section => {
      section.hidden = !section.querySelector("tr[data-verdict]:not([hidden])");
    });
    count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} claims`;
  };
  form.addEventListener("change", () => {
    const chosen = new URLSearchParams(selects.filter(s => s.value).map(s => [s.name, s.value]));
    history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
    show();
  });
  document.querySelector("section:has(> .cell table.claims tr[data-verdict])")?.before(form);
  show();
  if (selects.some(s => s.value)) form.scrollIntoView();
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

/* The values of a figure's points: the one nearest to the pointer or the tap, or by arrow keys. They are fetched when a
   reader first asks, as a script, since pages opened without a server may fetch nothing else. To a screen reader the
   picture is a slider over its points: that is how arrow keys reach it, and how what they come to is read out. */
addEventListener("DOMContentLoaded", () => document.querySelectorAll("figcaption a.points").forEach(link => {
  const figure = link.closest("figure"), image = figure.querySelector("img");
  const tip = document.createElement("div"), ring = document.createElement("div");
  let points = null, asked = null, at = -1;
  tip.className = "point-says";
  ring.className = "point-ring";
  tip.ariaHidden = true;
  tip.hidden = ring.hidden = true;
  figure.classList.add("has-points");
  figure.append(ring, tip);
  image.tabIndex = 0;
  for (const [name, value] of Object.entries({role: "slider", "aria-valuenow": 0, "aria-valuemin": 0, "aria-valuetext": "no point yet; arrow keys go through the values"})) image.setAttribute(name, value);
  const fetched = () => asked ??= new Promise(done => {
    const script = Object.assign(document.createElement("script"), {src: link.href.replace(/csv$/, "js")});
    script.onload = () => {
      points = script.points.flatMap(({of, axes, points}) => points.map(([left, top, ...values]) => (
        {left, top, of, lines: [...values.filter((_, n) => !axes[n]), ...values.flatMap((value, n) => axes[n] ? `${axes[n]}: ${value}` : [])]})));
      image.setAttribute("aria-valuemax", points.length - 1);
      done();
    };
    document.head.append(script);
  });
  const hide = () => { tip.hidden = ring.hidden = true; };
  const show = n => {
    const {left, top, of, lines: values} = points[at = n];
    const also = points.filter(point => point.left === left && point.top === top).map(point => point.of); // one upon another
    const lines = [[...new Set([of, ...also])].join(", "), ...values].filter(Boolean);
    const x = image.offsetLeft + left * image.offsetWidth, y = image.offsetTop + top * image.offsetHeight;
    tip.replaceChildren(...lines.map(line => Object.assign(document.createElement("div"), {textContent: line})));
    tip.hidden = ring.hidden = false;
    Object.assign(ring.style, {left: `${x}px`, top: `${y}px`});
    tip.style.left = `${Math.max(0, Math.min(x - tip.offsetWidth / 2, figure.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${y - tip.offsetHeight - 10 < 0 ? y + 12 : y - tip.offsetHeight - 10}px`;
    image.setAttribute("aria-valuenow", n);
    image.setAttribute("aria-valuetext", lines.join("; "));
  };
  const near = async ({type, clientX, clientY}) => {
    await fetched();
    if (type === "pointermove" && !image.matches(":hover")) return; // left while they came
    const box = image.getBoundingClientRect();
    const far = points.map(({left, top}) => Math.hypot(box.left + left * box.width - clientX, box.top + top * box.height - clientY));
    const least = Math.min(...far);
    if (least > 40) hide(); else show(far.indexOf(least));
  };
  image.addEventListener("pointermove", event => event.pointerType !== "touch" && near(event));
  image.addEventListener("click", near);
  image.addEventListener("pointerleave", event => event.pointerType !== "touch" && document.activeElement !== image && hide());
  image.addEventListener("focus", fetched);
  image.addEventListener("blur", hide);
  image.addEventListener("keydown", async event => {
    if (event.key === "Escape") return hide();
    const step = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageDown: "of", PageUp: "of", Home: "ends", End: "ends"}[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    await fetched();
    const last = points.length - 1;
    const series = points.flatMap(({of}, n) => n && of === points[n - 1].of ? [] : [n]); // where each begins
    if (step === "ends") show(event.key === "Home" ? 0 : last);
    else if (step === "of") show((event.key === "PageDown" ? series.find(n => n > at) : series.findLast(n => n < at)) ?? Math.max(at, 0));
    else show(Math.max(0, Math.min(last, at + step)));
  });
}));
