/* The network of the page Try it, in the reader's browser: fetched when asked for (book.js), from this site alone. */
import * as ort from "./runtime/ort.wasm.min.mjs";

const here = name => new URL(name, import.meta.url).href;
const WORDS = { main: "main head", "4a": "head at 4a", "4d": "head at 4d" };
const percent = p => `${(100 * p).toFixed(0)}\u00a0%`;

export async function start(host) {
  ort.env.wasm.wasmPaths = here("./runtime/");
  ort.env.logLevel = "error"; // it warns of every processor that it does not know, as an error on the console
  ort.env.wasm.numThreads = 1; // more need headers that not every host sends
  const answers = await Promise.all(["./network.json", "./network.onnx"].map(name => fetch(here(name))));
  if (!answers.every(answer => answer.ok)) throw new Error("the network could not be fetched");
  const [about, file] = [await answers[0].json(), await answers[1].arrayBuffer()];
  const session = await ort.InferenceSession.create(new Uint8Array(file), { executionProviders: ["wasm"] });
  const network = new Network(about, session);
  const page = new Page(host, about, network);
  await page.check();
  await page.show(0);
}

/* -- the network -------------------------------------------------------------------------------------------------- */
class Network {
  constructor(about, session) {
    Object.assign(this, { about, session });
  }

  /* Pictures, each side × side × 3 numbers from 0 to 255, as the network was trained on them: {head: [N × classes], maps, ms}. */
  async run(pictures) {
    const { side, mean, std } = this.about, area = side * side;
    const input = new Float32Array(pictures.length * 3 * area);
    pictures.forEach((picture, n) => {
      for (let i = 0; i < area; i++)
        for (let c = 0; c < 3; c++) input[(3 * n + c) * area + i] = (picture[3 * i + c] / 255 - mean) / std;
    });
    const before = performance.now();
    const found = await this.session.run({ images: new ort.Tensor("float32", input, [pictures.length, 3, side, side]) });
    const ms = performance.now() - before;
    const logits = Object.fromEntries(this.about.heads.map(head => [head, rows(found[head])]));
    return { logits, maps: found.maps, ms };
  }

  /* By how much the logit of a class falls where a part of the picture is covered (localise.covered). */
  async cover(picture, label, whole) {
    const { side } = this.about, square = side >> 2, step = square >> 1, corners = [];
    for (let y = 0; y + square <= side; y += step) for (let x = 0; x + square <= side; x += step) corners.push([y, x]);
    const mean = [0, 1, 2].map(c => picture.reduce((sum, v, i) => sum + (i % 3 === c ? v : 0), 0) / (side * side));
    const places = ([y, x]) => Array.from({ length: square * square }, (_, i) =>
      (y + Math.floor(i / square)) * side + x + i % square);
    const { logits } = await this.run(corners.map(corner => {
      const part = Float32Array.from(picture);
      for (const place of places(corner)) part.set(mean, 3 * place);
      return part;
    }));
    const sum = new Float32Array(side * side), times = new Float32Array(side * side);
    corners.forEach((corner, n) => {
      for (const place of places(corner)) {
        sum[place] += whole - logits.main[n][label];
        times[place] += 1;
      }
    });
    return sum.map((fall, i) => fall / times[i]);
  }
}

const rows = ({ data, dims: [n, k] }) => Array.from({ length: n }, (_, i) => Array.from(data.subarray(i * k, (i + 1) * k)));

function enlarged(map, high, wide, side) { // bilinear, as training/localise.py does it
  const at = (i, n) => {
    const c = Math.max((i + 0.5) * n / side - 0.5, 0), low = Math.min(Math.floor(c), n - 1);
    return [low, Math.min(low + 1, n - 1), c - low];
  };
  const out = new Float32Array(side * side);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const [y0, y1, v] = at(y, high), [x0, x1, u] = at(x, wide);
      out[y * side + x] = (1 - v) * ((1 - u) * map[y0 * wide + x0] + u * map[y0 * wide + x1])
        + v * ((1 - u) * map[y1 * wide + x0] + u * map[y1 * wide + x1]);
    }
  return out;
}

function softmax(logits) {
  const most = Math.max(...logits), powers = logits.map(x => Math.exp(x - most)), sum = powers.reduce((a, b) => a + b);
  return powers.map(x => x / sum);
}

/* -- the page ----------------------------------------------------------------------------------------------------- */
function made(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

class Page {
  constructor(host, about, network) {
    Object.assign(this, { host, about, network, samples: [], latest: 0, drawing: false, down: false });
    this.zoom = Math.max(1, Math.round(288 / about.side));
    this.big = this.zoom * about.side;
    this.build();
  }

  build() {
    const { classes, examples, heads } = this.about, size = { width: this.big, height: this.big };
    this.status = made("p", { role: "status", class: "try-it-status" }, "");
    this.pad = made("canvas", { ...size, tabindex: 0, role: "application", "aria-label":
      "Picture to draw on. With the keyboard: arrow keys move the pen, the space bar sets it down or lifts it." });
    this.pen = made("span", { class: "try-it-pen", "aria-hidden": "true" });
    this.maps = ["Class activation map", "Covering parts"].map(name => {
      const [canvas, caption] = [made("canvas", { ...size, role: "img", "aria-label": name }), made("figcaption")];
      return { name, canvas, caption, figure: made("figure", {}, canvas, caption) };
    });
    this.colour = made("input", { type: "color", value: "#e8e4d8" });
    this.ground = made("input", { type: "color", value: "#3d4654" });
    this.width = made("input", { type: "range", min: 1, max: 8, value: 3 });
    const clear = made("button", { type: "button" }, "Clear");
    const choose = made("input", { type: "file", accept: "image/*" });
    const sheet = made("div", { class: "try-it-examples", role: "group", "aria-label": "Examples" });
    examples.forEach(({ png, label }, n) => {
      const picture = made("img", {
        src: `data:image/png;base64,${png}`, alt: `Example ${n + 1}: ${classes[label]}`, width: 48, height: 48 });
      const button = made("button", { type: "button" }, picture);
      this.samples.push(picture);
      button.addEventListener("click", () => this.show(n));
      sheet.append(button);
    });
    this.cells = {};
    const body = made("tbody");
    classes.forEach((name, c) => {
      const row = made("tr", {}, made("th", { scope: "row" }, name));
      for (const head of heads) {
        const [bar, number] = [made("span", { class: "try-it-bar", "aria-hidden": "true" }), made("span")];
        (this.cells[head] ??= [])[c] = { bar, number, row };
        row.append(made("td", {}, bar, number));
      }
      body.append(row);
    });
    const table = made("table", { class: "try-it-heads" }, made("caption", {}, "What each head says"), made("thead", {},
      made("tr", {}, made("th", { scope: "col" }, "class"), ...heads.map(h => made("th", { scope: "col" }, WORDS[h] ?? h)))), body);
    this.host.replaceChildren(
      made("p", {}, "Take an example, draw, or choose a picture, which may also be dropped on the pad:"), sheet,
      made("div", { class: "try-it-tools" }, made("label", {}, "Pen ", this.colour), made("label", {}, "Width ", this.width),
        made("label", {}, "Ground ", this.ground), clear, made("label", {}, "Picture ", choose)),
      made("div", { class: "try-it-pictures" },
        made("figure", {}, made("div", { class: "try-it-pad" }, this.pad, this.pen), made("figcaption", {}, "The picture, in the network's own pixels")),
        ...this.maps.map(map => map.figure)),
      this.status, table);
    this.ink = this.pad.getContext("2d", { willReadFrequently: true });

    clear.addEventListener("click", () => { this.fill(); this.look(); });
    choose.addEventListener("change", () => choose.files[0] && this.open(choose.files[0]));
    this.pad.addEventListener("dragover", event => event.preventDefault());
    this.pad.addEventListener("drop", event => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) this.open(event.dataTransfer.files[0]);
    });
    this.pad.addEventListener("pointerdown", event => {
      this.pad.setPointerCapture(event.pointerId);
      this.drawing = true;
      this.stroke(this.at(event), this.at(event));
    });
    this.pad.addEventListener("pointermove", event => this.drawing && this.stroke(this.last, this.at(event)));
    for (const end of ["pointerup", "pointercancel"]) this.pad.addEventListener(end, () => {
      this.drawing = false;
      this.look();
    });
    this.last = [this.big / 2, this.big / 2];
    this.place();
    this.pad.addEventListener("keydown", event => this.key(event));
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === " ") this.down = !this.down;
    else if (!step) return;
    event.preventDefault();
    const next = (step ?? [0, 0]).map((d, i) => Math.min(Math.max(this.last[i] + this.zoom * d, 0), this.big));
    if (this.down) this.stroke(this.last, next);
    this.last = next;
    this.place();
    if (this.down) this.look();
  }

  place() {
    this.pen.style.left = `${100 * this.last[0] / this.big}%`;
    this.pen.style.top = `${100 * this.last[1] / this.big}%`;
    this.pen.classList.toggle("try-it-down", this.down);
  }

  at(event) {
    const box = this.pad.getBoundingClientRect();
    return [(event.clientX - box.left) * this.big / box.width, (event.clientY - box.top) * this.big / box.height];
  }

  fill() {
    this.ink.fillStyle = this.ground.value;
    this.ink.fillRect(0, 0, this.big, this.big);
  }

  stroke(from, to) {
    Object.assign(this.ink, { strokeStyle: this.colour.value, lineWidth: this.width.value * this.zoom, lineCap: "round" });
    this.ink.beginPath();
    this.ink.moveTo(...from);
    this.ink.lineTo(...to);
    this.ink.stroke();
    this.last = to;
    this.look();
  }

  async open(file) {
    let picture;
    try {
      picture = await createImageBitmap(file);
    } catch {
      this.status.textContent = "This browser cannot read that file as a picture.";
      return;
    }
    const side = Math.min(picture.width, picture.height);
    this.ink.imageSmoothingQuality = "high";
    this.ink.imageSmoothingEnabled = true;
    this.ink.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, this.big, this.big);
    await this.look();
  }

  async show(n) {
    await this.put(n);
    await this.look();
  }

  async put(n) {
    await this.samples[n].decode();
    this.ink.imageSmoothingEnabled = false; // each pixel is a square, whose mean it is again
    this.ink.drawImage(this.samples[n], 0, 0, this.big, this.big);
  }

  /* What the network gets: the mean colour of each square. */
  pixels() {
    const { side } = this.about, { data } = this.ink.getImageData(0, 0, this.big, this.big), z = this.zoom;
    const out = new Uint8Array(3 * side * side);
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++)
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let v = 0; v < z; v++) for (let u = 0; u < z; u++) sum += data[4 * ((y * z + v) * this.big + x * z + u) + c];
          out[3 * (y * side + x) + c] = Math.round(sum / (z * z));
        }
    return out;
  }

  async look() { // the newest picture alone: what comes meanwhile makes the ones before it void
    const turn = ++this.latest, before = this.queue ?? Promise.resolve();
    this.queue = before.then(async () => {
      if (turn !== this.latest) return;
      const picture = this.pixels(), { logits, maps, ms } = await this.network.run([picture]);
      const said = Object.fromEntries(Object.entries(logits).map(([head, [one]]) => [head, softmax(one)]));
      const taken = said.main.indexOf(Math.max(...said.main));
      const [, , high, wide] = maps.dims, first = taken * high * wide;
      const map = enlarged(maps.data.slice(first, first + high * wide), high, wide, this.about.side);
      this.tell(said, taken, ms);
      this.paint(this.maps[0], picture, map, `What speaks for ${this.about.classes[taken]}`);
      if (!this.drawing) {
        const fall = await this.network.cover(picture, taken, logits.main[0][taken]);
        this.paint(this.maps[1], picture, fall, "What the answer hangs on");
      }
      this.host.dataset.logits = JSON.stringify(Object.fromEntries(Object.entries(logits).map(([head, [one]]) => [head, one])));
    });
    await this.queue;
  }

  tell(said, taken, ms) {
    for (const [head, chances] of Object.entries(said)) chances.forEach((p, c) => {
      const { bar, number, row } = this.cells[head][c];
      bar.style.width = `${100 * p}%`;
      number.textContent = percent(p);
      if (head === "main") row.classList.toggle("try-it-taken", c === taken);
    });
    const { classes } = this.about;
    const others = Object.entries(said).filter(([head]) => head !== "main").map(([head, chances]) =>
      `${WORDS[head] ?? head}: ${classes[chances.indexOf(Math.max(...chances))]}`);
    this.status.textContent = `Taken for: ${classes[taken]}, ${percent(said.main[taken])}. ${others.join("; ")}. ` +
      `${ms.toFixed(1)}\u00a0ms in this browser. ${this.checked}`;
  }

  paint({ name, canvas, caption }, picture, map, words) {
    const { side } = this.about, z = this.zoom, ink = canvas.getContext("2d");
    const high = Math.max(...map), low = Math.min(...map), shade = ink.createImageData(side, side);
    map.forEach((value, i) => { // from grey, where it is lowest, to orange, where it is highest
      const strength = (value - low) / Math.max(high - low, 1e-6), grey = 0.4 * (picture[3 * i] + picture[3 * i + 1] + picture[3 * i + 2]) / 3;
      [255, 150, 40].forEach((colour, c) => { shade.data[4 * i + c] = grey + strength * (colour - grey) * 0.75; });
      shade.data[4 * i + 3] = 255;
    });
    const small = made("canvas", { width: side, height: side });
    small.getContext("2d").putImageData(shade, 0, 0);
    ink.imageSmoothingEnabled = false;
    ink.drawImage(small, 0, 0, side * z, side * z);
    const peak = map.indexOf(Math.max(...map)), third = i => Math.min(2, Math.floor(3 * i / side));
    const where = [["top", "middle", "bottom"][third(Math.floor(peak / side))], ["left", "middle", "right"][third(peak % side)]];
    const told = `${words}: most at the ${[...new Set(where)].join(" ")}`;
    caption.textContent = `${name}. ${told}.`;
    canvas.setAttribute("aria-label", `${name}. ${told}.`);
  }

  /* The examples, beside what torch said of them. */
  async check() {
    const { examples, heads } = this.about;
    const pictures = [];
    for (let n = 0; n < examples.length; n++) {
      await this.put(n);
      pictures.push(this.pixels());
    }
    const { logits } = await this.network.run(pictures);
    let most = 0;
    for (const head of heads) examples.forEach((example, n) => example.logits[head].forEach((value, c) => {
      most = Math.max(most, Math.abs(value - logits[head][n][c]));
    }));
    this.host.dataset.difference = most;
    this.checked = `On the examples its logits differ from torch's by ${most.toFixed(3)} at most.`;
  }
}
