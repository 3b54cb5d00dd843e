const block = document.getElementById("explore-values");
if (block) {
  const values = JSON.parse(block.textContent), find = id => document.getElementById(id);
  const name = k => values.classes[k] ?? String(k);
  const [row, leak, slider] = ["explore-row", "explore-leak", "explore-t"].map(find);
  const shown = () => values.rows[row ? Number(row.value) : 0];
  // Of a T that was run with one rule only, that result is shown under both.
  const points = () => shown().points.filter((p, k, all) => !leak || !p.leak || p.leak === leak.value
    || !all.some(o => o.at === p.at && o.leak === leak.value));
  // Answers that are all alike have no standard error, because the formula would say 0.
  const error = (right, n) => right % n ? " ± " + (100 * Math.sqrt(right / n * (1 - right / n) / n)).toFixed(1) : "";
  const share = (right, n) => n ? (100 * right / n).toFixed(1) + error(right, n) : "–";
  const cell = (parent, text, kind) => {
    const element = document.createElement(kind || "td");
    element.textContent = text;
    if (kind) element.scope = "row";
    return parent.appendChild(element);
  };
  const table = find("explore-confusion");
  const matrix = a => a.samples.map((n, label) => {
    const line = document.createElement("tr"), counts = new Array(a.samples.length).fill(0);
    for (const [l, c, k] of a.wrong) if (l === label) counts[c] = k;
    counts[label] = a.right[label];
    cell(line, name(label), "th");
    cell(line, share(a.right[label], n));
    counts.forEach((count, c) => {
      const level = count ? Math.max(1, Math.floor(9 * count / n)) : 0;
      const td = cell(line, count || "");
      if (level) td.className = (c === label ? "r" : "w") + level;
    });
    return line;
  });
  const list = a => a.wrong.map(([label, c, n]) => {
    const line = document.createElement("tr");
    cell(line, name(label), "th");
    cell(line, name(c));
    cell(line, n);
    return line;
  });
  // A ring around the shown point of both drawings of the frontier.
  const ring = (id, x, y) => {
    const svg = find(id)?.closest("svg");
    if (!svg) return;
    let circle = svg.querySelector(".ring");
    if (!circle) {
      circle = svg.appendChild(document.createElementNS(svg.namespaceURI, "circle"));
      circle.setAttribute("class", "ring");
      circle.setAttribute("r", 40);
    }
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
    circle.toggleAttribute("hidden", x === undefined);
  };
  const update = () => {
    const all = points();
    slider.max = all.length - 1;
    const p = all[Math.min(Number(slider.value), all.length - 1)];
    if (!p) return;
    slider.setAttribute("aria-valuetext", p.at);
    find("explore-at").textContent = p.at;
    find("explore-said").textContent = shown().name + ": " + p.at + ", " + p.said;
    if (table) {
      table.tBodies[0].replaceChildren(...(p.answers ? (values.matrix ? matrix : list)(p.answers) : []));
    }
    const [a, b, c, d] = p.place || [];
    ring("frontier-title", a, b);
    ring("frontier-narrow-title", c, d);
    document.querySelectorAll(".course").forEach(c => { c.hidden = c.dataset.row !== (row ? row.value : "0"); });
  };
  const keep = () => {
    // The position keeps its T if the other row or rule has it too.
    const at = find("explore-at").textContent, k = points().findIndex(p => p.at === at);
    slider.max = points().length - 1;
    if (k >= 0) slider.value = k;
    update();
  };
  if (slider) {
    slider.addEventListener("input", update);
    [row, leak].forEach(select => select?.addEventListener("change", keep));
    find("explore-controls").hidden = false;
    keep();
  }
  document.querySelectorAll(".course").forEach(course => {
    const c = values.rows[Number(course.dataset.row)].course;
    if (!c) return;
    const [play, moment, said] = [".play", ".moment", ".now-said"].map(s => course.querySelector(s));
    const last = c.at.length - 1;
    let timer = 0;
    const show = () => {
      const k = Number(moment.value), x = 1000 * k / last, percent = c.percent[k];
      course.querySelectorAll(".later").forEach(r => r.setAttribute("x", x));
      course.querySelectorAll("path.now").forEach(p => p.setAttribute("d", "M" + x + " 0V100"));
      course.querySelectorAll("[data-class]").forEach(li => {
        const value = percent[Number(li.dataset.class)];
        li.children[1].value = value;
        li.children[2].textContent = value + " %";
      });
      const best = percent.indexOf(Math.max(...percent));
      const spikes = c.spikes.map(([layer, n]) => layer + " " + n[k].toLocaleString("en")).join(", ");
      moment.setAttribute("aria-valuetext", c.at[k]);
      said.textContent = "After " + c.at[k] + ": " + name(best) + ", " + percent[best] + " %"
        + (spikes ? ". Spikes so far: " + spikes + "." : ".");
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
      play.setAttribute("aria-pressed", "false");
      said.setAttribute("aria-live", "polite");
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(moment.value) >= last) moment.value = 0;
      // A screen reader would read every frame, so it is told the last one only.
      said.setAttribute("aria-live", "off");
      play.textContent = "Stop";
      play.setAttribute("aria-pressed", "true");
      timer = setInterval(() => {
        moment.value = Number(moment.value) + 1;
        if (Number(moment.value) >= last) stop();
        show();
      }, Math.max(16, 6000 / last));
      show();
    });
    moment.addEventListener("input", () => { stop(); show(); });
    course.querySelector(".controls").hidden = false;
    show();
  });
}
