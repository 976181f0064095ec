/* The page of quality control: a table of scans, the pictures of one of them, verdicts kept in the browser.
 * Plain scripts only: a page that is opened from disk may load neither modules nor JSON. Texts from files are only ever
 * set as text. */
"use strict";
(() => {
  const FORMAT = 1;
  // Columns of flags, in their order: those of scans, and those of registrations.
  const FLAGS = ["levels", "order", "confidence", "complete", "length", "contrast", "deviation", "level_length", "mask", "numbering"];
  const REGISTRATION = ["leftout", "dice", "jacobian", "landmarks", "missed"];
  // Flags that are graded by their magnitude are sorted by it.
  const BY_MAGNITUDE = ["contrast", "deviation", "leftout", "missed"];
  const VERDICTS = { pass: "✓", fail: "✗", correct: "✎" };
  const SIGNS = { ok: "✓", look: "!", bad: "✗", none: "·" };
  const WORSE = { none: 0, ok: 0, look: 1, bad: 2 };
  const MIN_UNROLLED_PX = { one: 200, two: 220 }; // width of the unrolled surface, and where two pictures of it are drawn
  const STORE = "sct_rootlets:" + location.host + location.pathname.replace(/(index|rootlets)\.html$/, "");
  const REVIEWER = "sct_rootlets.reviewer"; // the same for all pages
  const THEME = "sct_rootlets.theme";

  let entries = [];
  let hasDatasets = false; // several; the name of a single one is beside the title
  let shown = []; // in the order of the table
  let chosen = null; // always one of those shown, so that no verdict goes to a scan that the table does not list
  let sort = { key: "order-of-list", down: false };
  let verdicts = {};
  let viewer = null;
  const judgements = []; // verdicts of this window, which can be undone

  const by = (id) => document.getElementById(id);

  /** Makes an element: attributes, then children or texts. */
  function make(tag, attributes = {}, ...children) {
    const svg = ["svg", "rect", "line", "text", "g", "title", "circle"].includes(tag);
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  // ---- verdicts -------------------------------------------------------------------------------------------------
  const NOT_KEPT = "This browser keeps no verdicts for pages opened from disk: export them before you close the page.";

  let keeps = true;

  function load() {
    if (!keeps) return; // what this window knows is more than what was kept
    let text = null;
    try {
      text = localStorage.getItem(STORE);
    } catch (error) {
      say(NOT_KEPT);
      return;
    }
    try {
      const kept = JSON.parse(text || "{}");
      verdicts = kept && typeof kept === "object" ? kept : {};
    } catch (error) {
      verdicts = {};
      say("The verdicts that this browser had kept for this page cannot be read: import them, if you exported them.");
    }
  }

  /** Keeps some verdicts (none: takes it back), beside those that another window of this page has kept meanwhile. */
  function keep(changed) {
    load();
    for (const [id, now] of Object.entries(changed)) {
      if (now) verdicts[id] = now;
      else delete verdicts[id];
    }
    try {
      localStorage.setItem(STORE, JSON.stringify(verdicts));
    } catch (error) {
      keeps = false;
      say(NOT_KEPT);
    }
  }

  const verdictOf = (entry) => (verdicts[entry.id] || {}).verdict || "";
  const noteOf = (entry) => (verdicts[entry.id] || {}).note || "";
  /** Whether the scan was done again, with another result, since it was judged. */
  const isStale = (entry) => Boolean(verdictOf(entry)) && verdicts[entry.id].fingerprint !== entry.fingerprint;

  /** A verdict carries who gave it, when, and to what result; a note that is added later leaves these as they are. */
  function record(entry, change) {
    const before = verdicts[entry.id] || {};
    const stamp = "verdict" in change || !before.verdict
      ? { reviewer: clean(by("reviewer").value).trim(), date: now(), version: entry.version || "", fingerprint: entry.fingerprint } : {};
    const after = { verdict: "", note: "", ...before, ...change, ...stamp };
    keep({ [entry.id]: after.verdict || after.note ? after : null });
    drawRow(entry);
    drawCounts();
  }

  /** The time in UTC, to the second. */
  const now = () => new Date().toISOString().replace(/\.\d+Z$/, "Z");

  function judge(verdict) {
    if (!shown.includes(chosen)) return;
    const at = shown.indexOf(chosen);
    judgements.push({ entry: chosen, before: verdicts[chosen.id] || {}, verdict });
    record(chosen, { verdict });
    if (verdict && by("go-on").checked && at >= 0 && at < shown.length - 1) choose(shown[at + 1]);
    else drawVerdict();
  }

  /** Takes the last verdict of this window back, and shows its scan; what another window said since then stays. */
  function undo() {
    const last = judgements.pop();
    if (!last) {
      say("There is no verdict of this window to undo.");
      return;
    }
    const { entry, before, verdict } = last;
    load();
    if (verdictOf(entry) !== verdict) {
      say(`The verdict on ${entry.file} was changed in another window since, and stays.`);
    } else {
      const after = { ...before, verdict: before.verdict || "", note: noteOf(entry) };
      keep({ [entry.id]: after.verdict || after.note ? after : null });
      say(`The verdict on ${entry.file} is again: ${after.verdict || "none"}.`);
    }
    drawTable();
    if (shown.includes(entry)) choose(entry);
    drawVerdict();
  }

  // ---- table ----------------------------------------------------------------------------------------------------
  const COLUMNS = [
    { key: "verdict", title: "verdict", value: (e) => verdictOf(e), text: (e) => verdictText(e) },
    { key: "worst", title: "flag", value: (e) => worst(e), text: (e) => SIGNS[worstState(e)] },
    { key: "file", title: "scan", value: (e) => e.file, text: (e) => nameOf(e) },
    { key: "subject", title: "subject", value: (e) => e.subject || "", text: (e) => e.subject || "" },
    { key: "dataset", title: "dataset", value: (e) => e.dataset || "", text: (e) => e.dataset || "" },
    ...[...FLAGS, ...REGISTRATION].map((key) => ({
      key,
      title: key,
      flag: true,
      value: (e) => magnitude(key, flagOf(e, key).value),
      text: (e) => flagOf(e, key).text,
    })),
    { key: "note", title: "note", value: (e) => noteOf(e), text: (e) => noteOf(e) },
  ];
  let columns = COLUMNS;

  function magnitude(key, value) {
    if (value === null || value === undefined) return undefined;
    return BY_MAGNITUDE.includes(key) ? Math.abs(value) : value;
  }

  function flagOf(entry, key) {
    const flag = (entry.flags || {})[key] || {};
    return { title: key, value: null, text: "–", state: "none", why: "not known", ...flag };
  }
  const nameOf = (entry) => (entry.kind ? `${entry.file} (${entry.kind})` : entry.file);
  const columnsOf = (entry) => (entry.kind === "registration" ? REGISTRATION : FLAGS);
  // What an entry holds counts, whether it has a column or not.
  const flagsOf = (entry) => [...new Set([...columnsOf(entry), ...Object.keys(entry.flags || {})])];
  const worst = (entry) => Math.max(0, ...flagsOf(entry).map((key) => WORSE[flagOf(entry, key).state] || 0));
  const worstState = (entry) => ["ok", "look", "bad"][worst(entry)];
  /** The level of the worst flag, with the sign of its state; null if no raised flag names one. */
  function worstLevel(entry) {
    const named = flagsOf(entry).map((key) => flagOf(entry, key)).filter((flag) => WORSE[flag.state] && flag.level);
    const [first] = named.sort((a, b) => WORSE[b.state] - WORSE[a.state]);
    return first ? { ...first.level, state: first.state, text: `${first.title}: ${first.text}` } : null;
  }
  const verdictText = (entry) => verdictOf(entry) + (isStale(entry) ? " (result has changed)" : "");

  function drawHead() {
    columns = COLUMNS.filter((column) =>
      column.flag ? !entries.length || entries.some((entry) => flagsOf(entry).includes(column.key))
        : column.key === "subject" ? entries.some((entry) => entry.subject && !namesSubject(entry))
          : column.key !== "dataset" || hasDatasets
    );
    for (const column of columns) {
      const known = column.flag && entries.find((entry) => (entry.flags || {})[column.key]);
      if (known) {
        column.title = flagOf(known, column.key).title;
        column.why = flagOf(known, column.key).why;
      }
    }
    const row = make("tr");
    for (const column of columns) {
      const down = sort.key === column.key && sort.down;
      const state = sort.key === column.key ? (down ? "descending" : "ascending") : "none";
      const arrow = { descending: " ▾", ascending: " ▴", none: "" }[state];
      const button = make("button", { onclick: () => sortBy(column.key), title: column.why }, column.title + arrow);
      row.append(make("th", { "aria-sort": state, "data-key": column.key, class: column.flag ? "flagged" : null }, button));
    }
    document.querySelector("#list thead").replaceChildren(row);
  }

  /** Whether the name of the file tells the subject, as ``sub-01_ses-02_T2w`` tells ``sub-01/ses-02``. */
  const namesSubject = (entry) => entry.file.startsWith(entry.subject.replace("/", "_") + "_");
  /** Names of files that several scans bear. */
  const isAmbiguous = (entry) => entries.some((other) => other !== entry && other.file === entry.file && other.kind === entry.kind);

  function sortBy(key) {
    const first = { key, down: ["worst"].includes(key) };
    sort = sort.key === key ? { key, down: !sort.down } : first;
    drawHead();
    drawTable();
  }

  function compare(a, b) {
    const column = COLUMNS.find((one) => one.key === sort.key);
    if (!column) return a.place - b.place;
    const [x, y] = [column.value(a), column.value(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined) || a.place - b.place;
    const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
    return (sort.down ? -order : order) || a.place - b.place;
  }

  function isWanted(entry) {
    const filter = by("filter").value;
    const words = by("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = verdictOf(entry);
    if (filter === "open" && verdict && !isStale(entry)) return false;
    if (filter in VERDICTS && verdict !== filter) return false;
    if (filter === "flagged" && worst(entry) < 1) return false;
    if (filter === "bad" && worst(entry) < 2) return false;
    const texts = [entry.file, entry.folder, entry.subject, entry.dataset, noteOf(entry)];
    texts.push(entry.kind || "", ...flagsOf(entry).map((key) => flagOf(entry, key).text));
    const text = texts.join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }

  function cells(entry) {
    return columns.map((column) => {
      const text = column.text(entry);
      if (column.key === "verdict") {
        const state = { pass: "ok", fail: "bad", correct: "look" }[verdictOf(entry)] || "none";
        return make("td", { class: state }, text || "–");
      }
      if (column.key === "worst") {
        return make("td", { class: worstState(entry) }, make("span", { class: "sign" }, text));
      }
      if (!column.flag) {
        const title = column.key === "file" ? `${entry.folder || ""}/${entry.file}` : text;
        const name = { file: "name", note: "note", subject: "of", dataset: "of" }[column.key];
        return make("td", { class: name, title }, text);
      }
      const flag = flagOf(entry, column.key);
      const sign = WORSE[flag.state] ? SIGNS[flag.state] + " " : "";
      const state = WORSE[flag.state] ? flag.state : flag.state === "none" ? "none" : "";
      return make("td", { class: `flagged ${state}`, title: sign + text }, sign + text);
    });
  }

  function drawTable() {
    shown = entries.filter(isWanted).sort(compare);
    const body = document.querySelector("#list tbody");
    const rows = shown.map((entry) => {
      entry.row = make("tr", { onclick: () => choose(entry), "data-id": entry.id, tabindex: -1 }, ...cells(entry));
      if (entry === chosen) mark(entry.row, true);
      return entry.row;
    });
    const nothing = entries.length ? "No scan fits the search and the filter. " : "No scans yet. ";
    const all = entries.length ? make("button", { id: "show-all", onclick: showAll }, "show all") : null;
    if (!rows.length) rows.push(make("tr", { class: "nothing" }, make("td", { colspan: columns.length }, nothing, all)));
    body.replaceChildren(...rows);
    drawCounts();
    if (by("overview").open) drawOverview();
    if (!shown.includes(chosen)) choose(shown[0] || null);
  }

  function showAll() {
    by("search").value = "";
    by("filter").value = "all";
    drawTable();
  }

  function drawRow(entry) {
    if (entry.row) entry.row.replaceChildren(...cells(entry));
  }

  function drawCounts() {
    const count = (verdict) => entries.filter((entry) => verdictOf(entry) === verdict).length;
    const all = `${entries.length} scan${entries.length === 1 ? "" : "s"}`;
    const part = shown.length < entries.length ? `${shown.length} of ${all}` : all;
    const verdictCounts = Object.keys(VERDICTS).map((verdict) => `${count(verdict)} ${verdict}`);
    by("counts").textContent = `${part} · verdicts: ${verdictCounts.join(", ")}, ${count("")} open`;
  }

  function step(by_) {
    if (!shown.length) return;
    const at = shown.indexOf(chosen);
    choose(shown[at < 0 ? 0 : Math.min(Math.max(at + by_, 0), shown.length - 1)]);
  }

  /** The next scan below with a raised flag. */
  function stepToFlagged() {
    const next = shown.slice(shown.indexOf(chosen) + 1).find((entry) => worst(entry) > 0);
    if (next) choose(next);
    else if (shown.length) say("No scan below this one has a raised flag.");
  }

  function mark(row, isChosen) {
    row.classList.toggle("chosen", isChosen);
    row.tabIndex = isChosen ? 0 : -1; // Tab reaches the chosen row, arrows move from there
    if (isChosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }

  // ---- one scan -------------------------------------------------------------------------------------------------
  function choose(entry) {
    const hadFocus = document.activeElement && document.activeElement.tagName === "TR";
    if (chosen && chosen.row) mark(chosen.row, false);
    chosen = entry;
    closeViewer();
    if (!entry) {
      by("scan").replaceChildren();
      setAddress("");
      markInOverview();
      return;
    }
    if (entry.row) {
      mark(entry.row, true);
      if (hadFocus) entry.row.focus({ preventScroll: true });
      const list = by("list");
      const [row, head] = [entry.row, list.querySelector("thead").offsetHeight];
      if (row.offsetTop - head < list.scrollTop) list.scrollTop = row.offsetTop - head;
      const below = row.offsetTop + row.offsetHeight - list.clientHeight;
      if (below > list.scrollTop) list.scrollTop = below;
    }
    setAddress(entry.id);
    markInOverview();
    drawScan(entry);
  }

  function setAddress(id) {
    try {
      history.replaceState(null, "", "#" + encodeURIComponent(id));
    } catch (error) { /* browsers refuse when a key is held down */ }
  }

  /** What stays in view of each scan, and below it a stage for the pictures, which take the room that is left. */
  function drawScan(entry) {
    const facts = make("div", { class: "facts" }, drawFlags(entry), drawNotes(entry));
    by("scan").replaceChildren(drawTop(entry), facts, drawLegend(entry), make("div", { id: "stage" }));
    drawVerdict();
    drawStage(entry);
  }

  function drawNotes(entry) {
    const notes = [...(entry.notes || [])];
    if ((entry.discs || []).some((disc) => disc.source === "image")) {
      const sure = entry.numbering === null || entry.numbering === undefined ? "" : ` Their numbers have a probability of ${entry.numbering.toFixed(2)}.`;
      notes.push(`Dashed discs were found in the image, ± one standard deviation in mm.${sure} To correct them, label one ` +
        "disc or more by hand (3 is C2/C3) and run the command again with -ldisc.");
    }
    if (!notes.length) return null;
    return make("ul", { class: "notes", tabindex: 0, "aria-label": "notes on this result" }, ...notes.map((note) => make("li", {}, note)));
  }

  const WIDE = window.matchMedia("(min-width: 900px)");
  let drawnSize = "";
  const stageSize = () => (WIDE.matches ? `${by("stage").clientWidth} ${by("stage").clientHeight}` : String(window.innerWidth));

  /** Cuts on the left, long views on the right: both as high as the stage. On narrow screens, one below the other. */
  function drawStage(entry) {
    const stage = by("stage");
    stage.replaceChildren();
    drawnSize = stageSize();
    const height = Math.max(stage.clientHeight - 46, 240); // without the lines above and below the pictures
    drawPictures(entry, { stage, height, width: stage.clientWidth, isWide: WIDE.matches, isPaper: false });
    if (hasViewer(entry)) stage.append(make("div", { id: "viewer-box", hidden: "" }));
    const level = worstLevel(entry) || (entry.levels || [])[0];
    const first = level && (entry.levels || []).find((one) => one.kind === level.kind && one.name === level.name);
    const cut = cutsOf(entry).find((one) => first && one.level === first.value) || cutsOf(entry)[0];
    if (cut) showNear(entry, cut.arc);
  }

  function drawPictures(entry, place) {
    const views = entry.views || {};
    if (views.registration) place.stage.append(drawRegistration(entry, place));
    const taken = views.axial ? drawAxial(entry, place) : 0;
    if (viewsAlong(entry).length) drawAlong(entry, { ...place, width: place.width - taken });
  }

  function drawTop(entry) {
    const subject = namesSubject({ subject: "", ...entry }) ? "" : entry.subject;
    const where = [...new Set([hasDatasets ? entry.dataset : "", subject, entry.folder])].filter(Boolean).join(" · ");
    const method = entry.method ? make("span", { id: "method" }, `spinal levels by method: ${entry.method}`) : null;
    const note = make("input", {
      type: "text", id: "note", placeholder: "Note ( m )", "aria-label": "Note",
      oninput: (event) => record(entry, { note: event.target.value }),
    });
    return make(
      "div", { class: "top" },
      make("h2", {}, nameOf(entry)), make("span", { class: "where" }, where), method,
      make(
        "div", { class: "verdict" },
        make("button", { onclick: () => step(-1), title: "previous (k)", "aria-label": "previous scan" }, "◂"),
        make("button", { onclick: () => step(1), title: "next (j)", "aria-label": "next scan" }, "▸"),
        make("button", { class: "pass", id: "pass", onclick: () => judge("pass"), title: "pass (p)" }, "✓ pass"),
        make("button", { class: "fail", id: "fail", onclick: () => judge("fail"), title: "fail (f)" }, "✗ fail"),
        make("button", { class: "correct", id: "correct", onclick: () => judge("correct"), title: "to be corrected by hand (c)" }, "✎ correct"),
        make("button", { id: "undo", onclick: undo, title: "undo the last verdict (z)" }, "↶ undo"),
        note, make("small", { id: "stale" })
      )
    );
  }

  function drawVerdict() {
    if (!chosen || !by("pass")) return;
    for (const verdict of Object.keys(VERDICTS)) by(verdict).setAttribute("aria-pressed", verdictOf(chosen) === verdict);
    if (document.activeElement !== by("note")) by("note").value = noteOf(chosen);
    const { reviewer, date } = verdicts[chosen.id] || {};
    const given = verdictOf(chosen) ? [reviewer, (date || "").slice(0, 10)].filter(Boolean).join(", ") : "";
    by("stale").textContent = isStale(chosen) ? "the result has changed since this verdict" : given;
  }

  /** The flags of a scan, raised ones first: where there is no room for all of them, those that matter are seen. */
  function drawFlags(entry) {
    const flags = flagsOf(entry).map((key) => flagOf(entry, key));
    const items = flags.sort((one, other) => WORSE[other.state] - WORSE[one.state]).map((flag) => {
      const text = make("span", { class: flag.state }, `${SIGNS[flag.state] || "·"} ${flag.text}`);
      return make("li", { title: flag.why }, make("b", {}, flag.title), text);
    });
    return make("ul", { class: "flags" }, ...items);
  }

  /** Levels from rostral to caudal, each once. */
  function namesOf(entry) {
    const levels = [...(entry.levels || [])].sort((a, b) => a.rostral - b.rostral);
    const order = (level) => "CTLS".indexOf(level.name[0]) * 100 + Number(level.name.slice(1));
    const unique = new Map(levels.map((level) => [level.name, level]));
    return [...unique.values()].sort((a, b) => order(a) - order(b));
  }

  const legendItems = (entry) => namesOf(entry).map((level) =>
    make("span", {}, make("i", { style: `background:${level.color}` }), level.name));

  function drawLegend(entry) {
    const items = legendItems(entry);
    const toggle = make("button", { onclick: toggleLabels, title: "show or hide labels (l)" }, "labels on / off");
    const [hide, show] = [() => blink(true), () => blink(false)];
    const hold = make("button", {
      id: "blink", title: "labels are hidden as long as this, or the key b, is held",
      onpointerdown: hide, onpointerup: show, onpointerleave: show, onblur: show,
      onkeydown: (event) => [" ", "Enter"].includes(event.key) && hide(), onkeyup: show,
    }, "hold to blink ( b )");
    const open = hasViewer(entry) ? make("button", { id: "open-viewer", onclick: () => openViewer() }, "viewer ( v )") : null;
    return make("div", { class: "legend" }, ...items, toggle, hold, open, drawFiles(entry));
  }

  /** The command that shows the files, to be copied, and how to correct them. */
  function drawFiles(entry) {
    const command = entry.viewer_command;
    if (!command) return null;
    const line = make("input", { id: "fsleyes", type: "text", readonly: "", value: command, "aria-label": "command for FSLeyes", onfocus: () => line.select() });
    const said = make("small", { role: "status" });
    const copy = make("button", {
      id: "copy", onclick: async () => {
        line.select();
        try {
          await navigator.clipboard.writeText(command);
          said.textContent = "copied";
        } catch (error) {
          said.textContent = document.execCommand("copy") ? "copied" : "press Ctrl C to copy the marked text";
        }
      },
    }, "copy");
    const where = entry.command === "sct_rootlets bids" ? "Run it in the folder of the results, which holds qc. " : "";
    const how = {
      "sct_rootlets bids": "To correct labels, edit and save them there, and run sct_rootlets bids again: a corrected file takes precedence.",
      "sct_rootlets register": "It shows the template's cord and levels on the scan, with the rootlets of the scan. To correct rootlets or cord, edit them, " +
        "save them under another name, and register again with -rootlets and -s.",
      sct_deepseg: "To correct the rootlets, edit them and compute the levels with sct_compute_spinal_levels -rootlets; a corrected cord mask goes into the same command with -s.",
    }[entry.command] || "To correct labels, save them under another name, and run the same command with them: -rootlets, -s (cord), -ldisc (discs).";
    return make("details", { class: "menu files" }, make("summary", {}, "fsleyes"),
      make("div", {}, make("label", {}, `${where}In a terminal:`, line), make("div", { class: "controls" }, copy, said), make("p", {}, how)));
  }

  const toggleLabels = () => document.body.classList.toggle("bare");
  const blink = (isHeld) => document.body.classList.toggle("blink", isHeld);
  const file = (entry, name) => `rootlets/entries/${encodeURIComponent(entry.files)}/${name}`;

  function picture(entry, name, width, height, labels = true) {
    const size = `width:${width};height:${height}`;
    const images = [make("img", { src: file(entry, `${name}.webp`), alt: name.replace("_", " ") })];
    if (labels) images.push(make("img", { src: file(entry, `${name}_labels.webp`), alt: "", class: "overlay" }));
    return make("div", { class: "picture", style: size, "data-view": name }, ...images);
  }

  // Registrations of earlier versions are a single picture.
  const hasViewer = (entry) => !(entry.views || {}).registration;

  /** A registration as earlier versions drew it. */
  function drawRegistration(entry, { width, height, isWide }) {
    const view = entry.views.registration;
    const across = Math.min(view.width, width, isWide ? (height * view.width) / view.height : width);
    const box = picture(entry, "registration", `${across}px`, `${(across * view.height) / view.width}px`, false);
    return make("figure", {}, make("figcaption", {}, "Before and after"), box);
  }

  // Cuts across the cord, from rostral to caudal; entries of older versions hold no arc length.
  const cutsOf = (entry) => [...(((entry.views || {}).axial || {}).cuts || [])]
    .map((cut) => ({ ...cut, arc: "arc" in cut ? cut.arc : cut.mm + (entry.referenceArc || 0) })).sort((a, b) => a.arc - b.arc);
  const spinalLevel = (entry, value) => (entry.levels || []).find((level) => level.kind === "spinal" && level.value === value);

  /** Number of columns and rows of the mosaic, and width of a cut for each unit of height. */
  function mosaicOf(entry) {
    const view = entry.views.axial;
    const columns = 1 + Math.max(...view.cuts.map((cut) => cut.column));
    const rows = 1 + Math.max(...view.cuts.map((cut) => cut.row));
    return { view, columns, rows, aspect: view.width / columns / (view.height / rows) };
  }

  function signed(mm) {
    const text = Math.abs(mm).toFixed(1);
    return text === "0.0" ? text : (mm < 0 ? "−" : "+") + text;
  }
  const cutText = (entry, cut) => [(spinalLevel(entry, cut.level) || {}).name, `${signed(cut.mm)} mm`].filter(Boolean).join(" · ");

  /** Draws the mosaic of cuts, and a large one beside it; returns the width that both take. */
  function drawAxial(entry, { stage, height, width, isWide, isPaper }) {
    const { view, columns, rows, aspect } = mosaicOf(entry);
    const across = isWide ? Math.min(columns * aspect * Math.min(height / rows, 130), 0.2 * width) : width;
    const box = picture(entry, "axial", `${across}px`, "auto");
    box.style.aspectRatio = `${view.width} / ${view.height}`;
    const suspect = worstLevel(entry);
    const percent = (part, of) => `${(100 * part) / of}%`;
    const named = new Set();
    const buttons = cutsOf(entry).map((cut, at) => {
      const level = spinalLevel(entry, cut.level);
      const isFirst = level && !named.has(level.value);
      if (isFirst) named.add(level.value);
      const isWorst = level && suspect && suspect.kind === "spinal" && suspect.name === level.name;
      const sure = isFirst && level.confidence !== null && level.confidence !== undefined ? ` ${level.confidence.toFixed(2)}` : "";
      const name = isFirst ? make("b", {}, `${isWorst ? `${SIGNS[suspect.state]} ` : ""}${level.name}${sure}`) : null;
      return make("button", {
        class: `cut${isWorst ? ` worst-cut ${suspect.state}` : ""}`, "data-cut": at, tabindex: at ? -1 : 0,
        style: `left:${percent(cut.column, columns)};top:${percent(cut.row, rows)};width:${percent(1, columns)};height:${percent(1, rows)}`,
        "aria-label": `cut at ${cutText(entry, cut)}: enlarge`, title: isWorst ? suspect.text : "click to enlarge",
        onclick: () => openLarge(entry, cut.arc), onfocus: () => showNear(entry, cut.arc), onmouseenter: () => showNear(entry, cut.arc),
      }, name, make("span", {}, `${signed(cut.mm)}`));
    });
    const place = columns > 1 ? 1 : 0; // beside the tile with the name, where there is one
    const tile = make("div", { class: "tile", style: `left:${percent(place, columns)};width:${percent(1, columns)};height:${percent(1, rows)}` }, ...letters("AP", "LR"));
    box.append(...buttons, tile);
    box.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const next = move && buttons[buttons.indexOf(document.activeElement) + move];
      if (move) event.stopPropagation(); // it would choose another scan
      if (!next) return;
      event.preventDefault();
      for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
      next.focus();
    });
    stage.append(make("figure", {}, make("figcaption", {}, view.title.length < 30 ? view.title : "across the cord"), box));
    if (isPaper) return across + 12;
    if (!isWide) return 0;
    const nearWidth = Math.max(Math.min(0.15 * width, 340), 170);
    const near = make("div", { id: "near", style: `width:${nearWidth}px` });
    stage.append(make("figure", { class: "near" }, make("figcaption", { id: "near-text" }), near));
    return across + nearWidth + 24;
  }

  /** Letters of the patient's directions at the edges of a picture: above and below, then left and right. */
  function letters(vertical, horizontal) {
    const places = ["top", "bottom", "left", "right"];
    return [...vertical.padEnd(2), ...horizontal].map((letter, at) =>
      letter.trim() ? make("span", { class: `letter ${places[at]}`, "aria-hidden": "true" }, letter) : null).filter(Boolean);
  }

  /** One cut of the mosaic, at another size. */
  function drawCut(entry, cut, width, labels = true) {
    const { columns, rows, aspect } = mosaicOf(entry);
    const height = width / aspect;
    const box = picture(entry, "axial", `${width}px`, `${height}px`, labels);
    box.dataset.view = "cut";
    for (const image of box.querySelectorAll("img")) {
      image.style = `width:${columns * width}px;height:${rows * height}px;left:${-cut.column * width}px;top:${-cut.row * height}px`;
    }
    box.append(...letters("AP", "LR"));
    return box;
  }

  const nearestCut = (entry, arc) => cutsOf(entry).reduce((a, b) => (!a || Math.abs(b.arc - arc) < Math.abs(a.arc - arc) ? b : a), null);

  /** Shows the cut that is nearest to a place beside the long views, and marks it in the mosaic. */
  function showNear(entry, arc) {
    const cut = nearestCut(entry, arc);
    if (!cut || !by("near")) return;
    const at = String(cutsOf(entry).findIndex((one) => one.row === cut.row && one.column === cut.column));
    if (by("near").dataset.cut === at) return;
    by("near").dataset.cut = at;
    by("near-text").textContent = cutText(entry, cut);
    const width = by("near").clientWidth;
    by("near").replaceChildren(drawCut(entry, cut, width), make("figcaption", {}, "without labels"), drawCut(entry, cut, width, false));
    for (const button of document.querySelectorAll(".cut")) button.classList.toggle("is-near", button.dataset.cut === at);
  }

  /** Opens the cut that is nearest to a place in a window of its own, with the way into the viewer. */
  function openLarge(entry, arc) {
    const cuts = cutsOf(entry);
    const cut = nearestCut(entry, arc);
    if (!cut) return;
    const at = cuts.findIndex((one) => one.row === cut.row && one.column === cut.column);
    const dialog = by("large");
    const { aspect } = mosaicOf(entry);
    const width = Math.min(0.9 * window.innerWidth, 0.74 * window.innerHeight * aspect);
    const go = (to, label, text) => make("button", { onclick: () => openLarge(entry, cuts[to].arc), disabled: to < 0 || to >= cuts.length, "aria-label": label }, text);
    dialog.replaceChildren(
      make("p", { id: "large-text" }, cutText(entry, cut)),
      drawCut(entry, cut, Math.floor(width)),
      make("div", { class: "controls" }, go(at - 1, "the cut above", "◂"), go(at + 1, "the cut below", "▸"),
        make("button", { id: "large-viewer", onclick: () => { dialog.close(); openViewer(pointAt(entry, arc)); } }, "this place in the viewer"),
        make("button", { onclick: () => dialog.close() }, "close ( Esc )"))
    );
    dialog.dataset.at = at;
    if (!dialog.open) dialog.showModal();
  }

  /** The place of the centerline at an arc length, RAS+ mm, between the nearest places that the entry holds. */
  function pointAt(entry, arc) {
    const known = [
      ...cutsOf(entry), ...(entry.levels || []).filter((level) => entry.kind !== "registration" || level.kind === "template").map((level) => ({ arc: (level.rostral + level.caudal) / 2, point: level.point })),
    ].filter((one) => one.point).sort((a, b) => a.arc - b.arc);
    if (!known.length) return null;
    const below = known.find((one) => one.arc >= arc) || known[known.length - 1];
    const above = [...known].reverse().find((one) => one.arc <= arc) || below;
    const share = below.arc > above.arc ? (arc - above.arc) / (below.arc - above.arc) : 0;
    return above.point.map((value, axis) => value + share * (below.point[axis] - value));
  }

  /** Views along the cord, which share their rows, by name. */
  const viewsAlong = (entry) => Object.entries(entry.views || {}).filter(([, view]) => view.ends);
  const LETTERS = { posterior: "P", anterior: "A", left: "L", right: "R", back: "P", front: "A" };

  /** All long views at one scale, as high as the stage; the unrolled surface takes the width that is left. */
  function drawAlong(entry, { stage, height, width, isWide }) {
    const views = viewsAlong(entry);
    const [first, last] = views[0][1].rows;
    const rulers = rulerWidth(entry);
    const inMm = views.filter(([, view]) => view.unit === "mm");
    const turns = views.filter(([, view]) => view.unit === "deg");
    // As high as the stage, as far as the unrolled surface keeps its least width; or beside the sagittal view.
    const mm = inMm.reduce((sum, [, view]) => sum + view.columns[1] - view.columns[0], 0);
    const room = width - rulers - 10 * (views.length + 1) - turns.length * MIN_UNROLLED_PX.one;
    const wanted = isWide ? Math.min(height / (last - first), room / mm) : (width - rulers - 12) / 45;
    const pxPerMm = Math.min(Math.max(wanted, 1.8), 8);
    const y = (arc) => (arc - first) * pxPerMm;
    y.origin = (arc) => signed(arc - (entry.referenceArc || 0)); // as the ruler counts
    const along = make("div", { class: "along" });
    const taken = inMm.reduce((sum, [, view]) => sum + (view.columns[1] - view.columns[0]) * pxPerMm + 10, rulers + 10);
    const [, besides] = inMm[inMm.length - 1] || [, { columns: [0, 0] }];
    const left = width - 10 - (isWide ? taken : (besides.columns[1] - besides.columns[0]) * pxPerMm + 10);
    // A second picture without labels, where both have room.
    const hasTwo = left / turns.length >= 2 * MIN_UNROLLED_PX.two + 10;
    const unrolled = Math.min(Math.max((left - (hasTwo ? 10 : 0)) / ((hasTwo ? 2 : 1) * (turns.length || 1)), 180), 560);
    const panel = (name, view, caption, labels) => {
      const [from, to] = view.columns;
      const across = view.unit === "deg" ? unrolled : (to - from) * pxPerMm;
      const box = picture(entry, name, `${across}px`, `${y(last)}px`, labels);
      if (view.showsDiscs) box.append(drawDiscs(entry, view, across, y(last), y));
      if (view.unit === "deg" && labels) box.append(drawNames(entry, view, across, y, first, last));
      else if (labels) box.append(drawMarks(view, across, y, first, last));
      view.ends.forEach((end, at) => {
        const share = at / (view.ends.length - 1);
        const letter = LETTERS[end];
        if (letter) box.append(make("span", { class: "letter", "aria-hidden": "true", style: `top:2px;left:${100 * share}%;transform:translateX(${-100 * share}%)` }, letter));
      });
      box.append(make("div", { class: "cursor" }));
      const hasRoom = across >= 60 * view.ends.length; // else the letters must do
      const foot = make("div", { class: "ends" }, ...(hasRoom ? view.ends : []).map((end) => make("span", {}, end)));
      along.append(make("figure", { style: `width:${across}px` }, make("figcaption", { title: caption }, caption), box, foot));
    };
    views.forEach(([name, view], at) => {
      if (view.titleWithoutLabels && hasTwo) panel(name, view, view.titleWithoutLabels, false);
      panel(name, view, view.titleWithoutLabels && !hasTwo ? view.titleWithoutLabels : view.title, true);
      if (at === 0) along.append(drawRulers(entry, first, last, y(last), y)); // beside the first view
    });
    followPointer(entry, along, first, last, pxPerMm);
    stage.append(along);
  }

  /** Landmarks of a registration: a dotted line at each of them, in the colour of its level, and its name. */
  function drawMarks(view, width, y, first, last) {
    const svg = make("svg", { width, height: y(last), class: "overlay" });
    for (const mark of (view.marks || []).filter((one) => one.arc > first && one.arc < last)) {
      svg.append(
        make("line", { x1: 0, x2: width, y1: y(mark.arc), y2: y(mark.arc), stroke: mark.color, "stroke-dasharray": "2 4", "data-mark": mark.name }),
        make("text", { x: 3, y: y(mark.arc) - 3, fill: "#fff", stroke: "#000", "stroke-width": 3, "paint-order": "stroke" }, mark.name)
      );
    }
    return svg;
  }

  /** Names of levels along the unrolled surface, between their ends. */
  function drawNames(entry, view, width, y, first, last) {
    const svg = make("svg", { width, height: y(last), class: "overlay" });
    for (const level of (entry.levels || []).filter((one) => one.kind === (view.levels || "spinal"))) {
      for (const end of [level.rostral, level.caudal].filter((arc) => arc > first && arc < last)) {
        for (const x of [0, width - 14]) svg.append(make("line", { x1: x, x2: x + 14, y1: y(end), y2: y(end), stroke: "#fff", "stroke-width": 1.5 }));
      }
      const middle = y((level.rostral + level.caudal) / 2) + 4;
      for (const [x, anchor] of [[3, "start"], [width - 3, "end"]]) {
        svg.append(make("text", { x, y: middle, "text-anchor": anchor, fill: "#fff", stroke: "#000", "stroke-width": 3, "paint-order": "stroke", "font-weight": 700 }, level.name));
      }
    }
    return svg;
  }

  function drawDiscs(entry, view, width, height, y) {
    const svg = make("svg", { width, height, class: "overlay" });
    const x = (mm) => ((mm - view.columns[0]) / (view.columns[1] - view.columns[0])) * width;
    for (const disc of entry.discs || []) {
      if (disc.arc < view.rows[0] || disc.arc > view.rows[1]) continue;
      // A disc that was found in the image is dashed, with a bar of one standard deviation on either side.
      const found = disc.source === "image";
      svg.append(make("line", { x1: x(8), x2: x(13), y1: y(disc.arc), y2: y(disc.arc), stroke: "#fff", "stroke-width": 2, "stroke-dasharray": found ? "3 2" : null }));
      if (found) svg.append(make("line", { x1: x(10.5), x2: x(10.5), y1: y(disc.arc - disc.sd), y2: y(disc.arc + disc.sd), stroke: "#fff", "stroke-width": 1.5 }));
      const label = found && width - x(14) > 66 ? `${disc.name} ± ${disc.sd.toFixed(1)}` : disc.name; // as there is room
      svg.append(make("text", { x: x(14), y: y(disc.arc) + 4, fill: "#fff", stroke: "#000", "stroke-width": 1.5, "paint-order": "stroke" }, label));
    }
    return svg;
  }

  /** Dark or light letters, whichever stand out more from a colour (relative luminance as in WCAG 2). */
  function inkOn(color) {
    const [r, g, b] = [1, 3, 5].map((at) => (parseInt(color.slice(at, at + 2), 16) / 255) ** 2.2);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.19 ? "#111" : "#fff";
  }

  const RULER = { bar: 40, gap: 54, axis: 34, ghosts: 52 };
  const hasGhosts = (entry) => (entry.expected || []).length > 0;
  const axisOf = (entry) => RULER.axis + (hasGhosts(entry) ? RULER.ghosts : 0); // where the bars begin
  // Columns of the ruler: kinds of levels, and their titles.
  const rulersOf = (entry) => entry.rulers || { spinal: "spinal", vertebral: "vertebral" };
  const kindsOf = (entry) => Object.keys(rulersOf(entry)).filter((kind) => (entry.levels || []).some((level) => level.kind === kind));
  const rulerWidth = (entry) => axisOf(entry) + kindsOf(entry).length * RULER.bar + Math.max(kindsOf(entry).length - 1, 0) * RULER.gap + 18;

  function drawRulers(entry, first, last, height, y) {
    const kinds = kindsOf(entry);
    const { bar, gap } = RULER;
    const axis = axisOf(entry);
    const width = rulerWidth(entry);
    const svg = make("svg", { width, height, role: "img", "aria-label": "levels along the cord", class: "ruler" });
    const origin = entry.referenceArc || 0;
    for (let mm = Math.ceil((first - origin) / 10) * 10; mm + origin <= last; mm += 10) {
      svg.append(make("line", { x1: RULER.axis - 5, x2: width, y1: y(mm + origin), y2: y(mm + origin), stroke: "var(--line)" }));
      svg.append(make("text", { x: RULER.axis - 8, y: Math.min(Math.max(y(mm + origin) + 4, 9), height - 2), "text-anchor": "end", fill: "var(--soft)" }, String(mm).replace("-", "−")));
    }
    kinds.forEach((kind, at) => {
      const x = axis + at * (bar + gap);
      for (const level of entry.levels.filter((one) => one.kind === kind && one.rostral < last && one.caudal > first)) drawBar(svg, level, x, bar, y, first, last);
    });
    for (const ghost of entry.expected || []) drawGhost(svg, ghost, axis, y, first, last);
    const suspect = worstLevel(entry);
    const level = suspect && (entry.levels || []).find((one) => one.kind === suspect.kind && one.name === suspect.name);
    if (level) {
      const x = axis + kinds.indexOf(level.kind) * (bar + gap);
      const [top, bottom] = [y(level.rostral), y(level.caudal)];
      const mark = make("g", { class: `worst ${suspect.state}`, "data-worst": level.name }, make("title", {}, suspect.text));
      mark.append(
        make("text", { x: x + bar + 5, y: top + 10, "font-weight": 700 }, SIGNS[suspect.state]),
        make("rect", { x: x - 3, y: top - 3, width: bar + 6, height: bottom - top + 6, fill: "none", "stroke-width": 3 })
      );
      svg.append(mark);
    }
    for (const pair of kinds.length > 1 ? entry.pairs || [] : []) {
      const [x1, x2] = [axis + bar, axis + bar + gap];
      const [from, to] = (pair.ends || [pair.spinal, pair.vertebral]).map(y);
      const middle = (from + to) / 2;
      svg.append(make("line", { x1, x2, y1: from, y2: to, stroke: "var(--soft)", "stroke-dasharray": "2 3" }));
      svg.append(make("text", { x: (x1 + x2) / 2, y: middle + 4, "text-anchor": "middle", fill: "var(--ink)", stroke: "var(--ground)", "stroke-width": 5, "paint-order": "stroke" }, signed(pair.difference)));
    }
    const columns = [...(hasGhosts(entry) ? ["expected"] : []), ...kinds.map((kind) => rulersOf(entry)[kind])].join(" | ");
    const caption = columns ? `${columns} (mm)` : "mm";
    const from = make("div", { class: "ends" }, make("span", {}, `from ${entry.reference || "the top"}`));
    if (hasGhosts(entry)) from.append(make("span", { title: GHOST_TEXT }, "○ expected ● measured"));
    return make("figure", {}, make("figcaption", { title: hasGhosts(entry) ? GHOST_TEXT : null }, caption), svg, from);
  }

  const GHOST_TEXT = "Circle: where the midpoint of the level is expected, with the limits of the flag. Dot: where it was " +
    "measured (method extent), with two standard deviations. Between them the deviation in mm, positive if more caudal. With " +
    "vertebrae, the published medians are known of the first and the last pair only (0.00 and 8.15 mm; full circles); those " +
    "between are of the PAM50 template (dashed). The spread between persons is not published.";

  /** Where a level is expected, as a ghost beside the ruler, and where it was measured. */
  function drawGhost(svg, ghost, axis, y, first, last) {
    if (Math.min(ghost.expected, ghost.measured) < first || Math.max(ghost.expected, ghost.measured) > last) return;
    const [x, dot] = [axis - 16, axis - 6];
    const isRaised = Math.abs(ghost.deviation) > ghost.limit;
    const why = { published: "published median", PAM50: "PAM50's own pair", "level above": "usual distance from the level above" }[ghost.source];
    const node = make("g", { class: `ghost${isRaised ? " raised" : ""}`, "data-ghost": ghost.label });
    const text = `${ghost.label}: expected at ${y.origin(ghost.expected)} mm (${why}), measured at ${y.origin(ghost.measured)} mm ± ${(2 * ghost.sd).toFixed(1)} (two standard deviations): ${signed(ghost.deviation)} mm`;
    node.append(
      make("title", {}, text),
      make("line", { x1: x, x2: x, y1: y(ghost.expected - ghost.limit), y2: y(ghost.expected + ghost.limit), stroke: "var(--line)", "stroke-width": 4 }),
      make("line", { x1: dot, x2: dot, y1: y(ghost.measured - 2 * ghost.sd), y2: y(ghost.measured + 2 * ghost.sd), stroke: "var(--ink)", "stroke-width": 1.5 }),
      make("line", { x1: x, x2: dot, y1: y(ghost.expected), y2: y(ghost.measured), stroke: "var(--ink)" }),
      make("circle", { cx: x, cy: y(ghost.expected), r: 4, fill: "var(--ground)", stroke: "var(--ink)", "stroke-width": 1.5, "stroke-dasharray": ghost.source === "published" ? null : "2 1.5" }),
      make("circle", { cx: dot, cy: y(ghost.measured), r: 2.5, fill: "var(--ink)" }),
      make("text", { x: x - 6, y: y((ghost.expected + ghost.measured) / 2) + 4, "text-anchor": "end", fill: isRaised ? "var(--bad)" : "var(--ink)", "font-weight": isRaised ? 700 : 400 }, signed(ghost.deviation))
    );
    svg.append(node);
  }

  /** A level that goes on beyond the views is drawn as far as they reach. */
  function drawBar(svg, level, x, width, y, first, last) {
    const [top, bottom] = [y(Math.max(level.rostral, first)), y(Math.min(level.caudal, last))];
    const dashes = level.incomplete.length ? "4 3" : null;
    const bar = make("rect", {
      x, y: top, width, height: Math.max(bottom - top, 1), fill: level.color, stroke: "var(--ink)",
      "stroke-dasharray": dashes, "data-level": level.name, "data-kind": level.kind,
    });
    const remarks = [`${level.name}: ${(level.caudal - level.rostral).toFixed(1)} mm`, ...level.incomplete];
    bar.append(make("title", {}, remarks.join("; ")));
    svg.append(bar);
    const ink = inkOn(level.color);
    svg.append(make("text", { x: x + width / 2, y: (top + bottom) / 2 + 4, "text-anchor": "middle", fill: ink, "font-weight": 700, "pointer-events": "none" }, level.name));
    for (const [end, sd, at] of [[level.rostral, level.rostralSD, x + 4], [level.caudal, level.caudalSD, x + width - 4]]) {
      if (end < first || end > last) continue;
      svg.append(make("line", { x1: at, x2: at, y1: y(end - 2 * sd), y2: y(end + 2 * sd), stroke: "var(--ink)", "stroke-width": 1.5 }));
    }
  }

  /** A line in all views at the place under the pointer, the cut there beside them, and a click to enlarge it. */
  function followPointer(entry, along, first, last, pxPerMm) {
    const arcAt = (event) => {
      const box = event.target.closest(".picture, .ruler");
      return box ? first + (event.clientY - box.getBoundingClientRect().top) / pxPerMm : null;
    };
    // Rows of a scan before its registration are moved as a whole: the cuts, in template space, show other places.
    const isShifted = (event) => Boolean(event.target.closest('[data-view^="scanned_"]'));
    const lines = () => along.querySelectorAll(".cursor");
    along.addEventListener("mousemove", (event) => {
      const arc = arcAt(event);
      const isIn = arc !== null && arc >= first && arc <= last;
      for (const line of lines()) {
        line.style.display = isIn ? "block" : "none";
        line.style.top = `${(arc - first) * pxPerMm}px`;
      }
      if (!isIn) return;
      if (!isShifted(event)) showNear(entry, arc);
      const here = (entry.levels || []).filter((level) => arc >= level.rostral && arc < level.caudal);
      const names = here.map((level) => `${rulersOf(entry)[level.kind]} ${level.name}`);
      lines()[0].replaceChildren(make("span", {}, [`${signed(arc - (entry.referenceArc || 0))} mm`, ...names].join(" · ")));
    });
    along.addEventListener("mouseleave", () => { for (const line of lines()) line.style.display = "none"; });
    along.addEventListener("click", (event) => {
      const arc = arcAt(event);
      if (arc !== null && event.target.closest(".picture") && !isShifted(event)) openLarge(entry, arc);
    });
  }

  // ---- viewer ---------------------------------------------------------------------------------------------------
  const scripts = new Map();
  function script(source) {
    if (!scripts.has(source)) {
      scripts.set(source, new Promise((resolve, reject) => {
        const failed = () => { scripts.delete(source); reject(new Error(`${source} cannot be loaded`)); };
        document.head.append(make("script", { src: source, onload: resolve, onerror: failed }));
      }));
    }
    return scripts.get(source);
  }

  let volumes = null;
  window.sctRootletsVolume = (id, content) => { volumes = { id, content }; };

  function colormap(entry, kind, color = null) {
    const levels = (entry.levels || []).filter((level) => level.kind === kind);
    const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: [""] };
    for (const level of levels) {
      const [r, g, b] = [1, 3, 5].map((at) => parseInt((color || level.color).slice(at, at + 2), 16));
      map.R.push(r); map.G.push(g); map.B.push(b); map.A.push(255); map.I.push(level.value); map.labels.push(level.name);
    }
    return map;
  }

  /** Opens the viewer over the stage, at a place or else at the worst level, or the first one. */
  async function openViewer(point = null) {
    const entry = chosen;
    if (!entry || !by("viewer-box")) return;
    if (viewer) {
      goTo(point);
      return;
    }
    const box = by("viewer-box");
    box.hidden = false;
    box.replaceChildren(make("p", {}, "Loading …"));
    try {
      await script("rootlets/assets/niivue.js");
      volumes = null;
      const source = file(entry, "volume.js");
      scripts.delete(source); // kept in the browser's cache, not twice in memory
      await script(source);
      if (entry !== chosen || !volumes) return;
      await showVolumes(entry, box, volumes.content);
      goTo(point || startOf(entry));
    } catch (error) {
      box.replaceChildren(make("p", { class: "bad" }, `The viewer cannot be shown: ${error.message || error}`));
    }
  }

  const [AXIAL, CORONAL, SAGITTAL, SLICES, RENDER] = [0, 1, 2, 3, 4]; // NiiVue's kinds of view
  const ROOTLETS_MM = 6; // from the middle of the cord, within which its rootlets lie
  const IN_3D = { image: 0, levels: 0.08, rootlets: 1 }; // opacities; those of all voxels on a ray add up
  const CAMERA = { azimuth: 150, elevation: 10, scale: 1 }; // from behind, a little from the left

  /** A cord is long and its surroundings are narrow: as many sagittal or coronal slices through it as fill the canvas. */
  function parallelSlices(entry, nv, kind) {
    const plane = { [CORONAL]: { letter: "C", axis: 1, across: 0 }, [SAGITTAL]: { letter: "S", axis: 0, across: 1 } }[kind];
    const points = cutsOf(entry).map((one) => one.point).filter(Boolean);
    if (!plane || !points.length) return "";
    const size = [0, 1, 2].map((axis) => nv.volumes[0].dims[axis + 1] * nv.volumes[0].pixDims[axis + 1]);
    const { clientWidth, clientHeight } = by("canvas");
    const n = Math.round(clientWidth / (clientHeight * (size[plane.across] / size[2])));
    const places = points.map((point) => point[plane.axis]);
    const [from, to] = [Math.min(...places) - ROOTLETS_MM, Math.max(...places) + ROOTLETS_MM];
    const middles = Array.from({ length: n }, (_, at) => (from + ((at + 0.5) / n) * (to - from)).toFixed(1));
    return n > 1 ? `${plane.letter} ${middles.join(" ")}` : "";
  }

  /** The level whose rootlets or cord lie under the crosshair, and the place in scanner space. */
  function placeText(entry, location) {
    const layerValue = (name) => (location.values.find((one) => one.name.startsWith(name)) || {}).value;
    const named = (value) => (entry.levels || []).find((level) => level.value === Math.round(value));
    const [root, cord] = [named(layerValue("rootlets")), named(layerValue("levels"))];
    const what = root ? `rootlets of ${root.name}` : cord ? `cord at ${cord.name}` : "no level";
    return `${what} · R ${location.mm[0].toFixed(1)}, A ${location.mm[1].toFixed(1)}, S ${location.mm[2].toFixed(1)} mm`;
  }

  function startOf(entry) {
    const suspect = worstLevel(entry);
    const levels = (entry.levels || []).filter((level) => level.point);
    return ((suspect && levels.find((one) => one.kind === suspect.kind && one.name === suspect.name)) || levels[0] || {}).point;
  }

  function goTo(point) {
    if (!viewer || !point) return;
    viewer.scene.crosshairPos = viewer.mm2frac(point);
    viewer.updateGLVolume();
    viewer.createOnLocationChange();
    by("viewer").dataset.at = Array.from(viewer.frac2mm(viewer.scene.crosshairPos)).slice(0, 3).map((mm) => mm.toFixed(1)).join(",");
  }

  async function showVolumes(entry, box, content) {
    const canvas = make("canvas", { id: "canvas" });
    const holder = make("div", { id: "viewer" }, canvas);
    const controls = make("div", { class: "controls" });
    box.replaceChildren(controls, holder);
    if (!canvas.getContext("webgl2")) throw new Error("this browser does not offer WebGL 2");
    const nv = new niivue.Niivue({ backColor: [0, 0, 0, 1], show3Dcrosshair: true, crosshairWidth: 0.4, isResizeCanvas: true, logLevel: "error", multiplanarShowRender: 0 });
    viewer = nv;
    await nv.attachToCanvas(canvas);
    const kind = (entry.levels || []).some((level) => level.kind === "spinal") ? "spinal" : "vertebral";
    const layers = [["image", 1], ["levels", 0.35], ["rootlets", 0.9]].filter(([name]) => content[name]);
    for (const [name, opacity] of layers) {
      const options = { base64: content[name], name: `${name}.nii.gz`, opacity };
      if (name === "image") Object.assign(options, { colormap: "gray", cal_min: 0, cal_max: 255 });
      const volume = await niivue.NVImage.loadFromBase64(options);
      if (name !== "image") volume.setColormapLabel(colormap(entry, name === "rootlets" ? "spinal" : kind));
      nv.addVolume(volume);
    }
    if (viewer !== nv) return;
    nv.setRenderAzimuthElevation(CAMERA.azimuth, CAMERA.elevation);
    nv.setScale(CAMERA.scale);
    const opacities = Object.fromEntries(layers);
    layers.forEach(([name, opacity], at) => {
      const slide = make("input", {
        type: "range", min: 0, max: 1, step: 0.05, value: opacity, "data-layer": name,
        oninput: (event) => { opacities[name] = Number(event.target.value); nv.setOpacity(at, opacities[name]); },
      });
      controls.append(make("label", {}, name + " ", slide));
    });
    const kinds = [["slices", SLICES], ["sagittal", SAGITTAL], ["coronal", CORONAL], ["axial", AXIAL], ["3D", RENDER]];
    // In 3D, the image would lie before the cord as a haze: there, rootlets stand in colour around a colourless cord.
    const setKind = (value) => {
      layers.forEach(([name], at) => {
        if (name === "levels") nv.volumes[at].setColormapLabel(colormap(entry, kind, value === RENDER ? "#ffffff" : null));
        nv.setOpacity(at, value === RENDER ? IN_3D[name] : opacities[name]);
      });
      nv.setSliceMosaicString(""); // a kind of view of its own in NiiVue
      nv.setSliceType(value);
      const tiles = parallelSlices(entry, nv, value);
      if (tiles) nv.setSliceMosaicString(tiles);
      for (const letter of holder.querySelectorAll(".letter")) letter.remove();
      if (tiles) holder.append(...letters("", value === CORONAL ? "LR" : "PA")); // NiiVue writes none on these
      for (const button of controls.querySelectorAll("[data-kind]")) button.setAttribute("aria-pressed", button.dataset.kind === String(value));
    };
    for (const [name, value] of kinds) controls.append(make("button", { "data-kind": value, onclick: () => setKind(value) }, name));
    const place = make("span", { id: "crosshair-text", role: "status" });
    nv.onLocationChange = (location) => { place.textContent = placeText(entry, location); };
    controls.append(make("button", { onclick: () => { closeViewer(); box.replaceChildren(); box.hidden = true; } }, "close"));
    controls.append(place);
    setKind(SLICES);
    holder.dataset.ready = "true";
    if (!WIDE.matches) holder.scrollIntoView({ block: "nearest" });
  }

  function closeViewer() {
    if (!viewer) return;
    const context = viewer.gl && viewer.gl.getExtension("WEBGL_lose_context");
    viewer = null;
    volumes = null;
    if (context) context.loseContext(); // browsers keep few of them
  }

  // ---- overview of the cohort -----------------------------------------------------------------------------------
  /** A strip for each flag: the listed scans as dots (sorted marks by state), from the least value to the greatest. */
  function drawOverview() {
    const box = by("strips");
    box.replaceChildren();
    if (!by("overview").open) return;
    for (const column of columns.filter((one) => one.flag)) {
      const known = shown.filter((entry) => Number.isFinite(flagOf(entry, column.key).value));
      if (known.length) box.append(drawStrip(column, known));
    }
    if (!box.children.length) box.append(make("p", {}, "No flag of the scans that are listed has a value."));
    markInOverview();
  }

  function drawStrip(column, known) {
    const values = known.map((entry) => flagOf(entry, column.key).value);
    const [least, greatest] = [Math.min(...values), Math.max(...values)];
    const { unit } = flagOf(known[0], column.key);
    const [width, height, margin] = [520, 30, 10];
    const x = (value) => (greatest > least ? margin + ((value - least) / (greatest - least)) * (width - 2 * margin) : width / 2);
    const raised = known.filter((entry) => WORSE[flagOf(entry, column.key).state]).length;
    const label = `${column.title}: ${known.length} scans from ${numberText(least, unit)} to ${numberText(greatest, unit)}, ${raised} raised`;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    svg.append(make("line", { x1: margin, x2: width - margin, y1: height / 2, y2: height / 2, stroke: "var(--line)" }));
    const order = [...known].sort((a, b) => (WORSE[flagOf(a, column.key).state] || 0) - (WORSE[flagOf(b, column.key).state] || 0));
    for (const entry of order) { // raised ones last, on top
      const flag = flagOf(entry, column.key);
      const y = height / 2 + ((entry.place % 3) - 1) * 6; // beside one another where values are the same
      const dot = make("g", { class: `dot ${flag.state}`, "data-dot": entry.id, onclick: () => choose(entry) });
      dot.append(
        make("title", {}, `${entry.file}: ${flag.text}`),
        make("circle", { cx: x(flag.value), cy: y, r: 6 }),
        make("text", { x: x(flag.value), y: y + 4, "text-anchor": "middle" }, { ok: "•", none: "·" }[flag.state] || SIGNS[flag.state])
      );
      svg.append(dot);
    }
    const name = make("button", { onclick: () => sortBy(column.key), title: "sort the table by this flag" }, column.title);
    const ends = make("div", { class: "ends" }, make("span", {}, numberText(least, unit)), make("span", {}, numberText(greatest, unit)));
    return make("div", { class: "strip" }, name, make("div", {}, svg, ends));
  }

  const numberText = (value, unit) => `${Number(value.toFixed(2))}${unit ? ` ${unit}` : ""}`.replace("-", "−");

  function markInOverview() {
    for (const dot of document.querySelectorAll(".dot.chosen")) dot.classList.remove("chosen");
    if (!chosen || !by("overview").open) return;
    for (const dot of document.querySelectorAll(`[data-dot="${CSS.escape(chosen.id)}"]`)) dot.classList.add("chosen");
  }

  // ---- report on paper ------------------------------------------------------------------------------------------
  const PAPER = { width: 1040, height: 470 }; // pixels of the pictures on a sheet of A4, lying

  /** Draws a sheet for each scan; on the screen they are hidden. */
  function drawReport(scans) {
    const sheets = scans.map((entry) => {
      const stage = make("div", { class: "stage" });
      const { reviewer, date } = verdicts[entry.id] || {};
      const verdict = verdictOf(entry) ? `${VERDICTS[verdictOf(entry)]} ${verdictText(entry)}` : "no verdict";
      const facts = [entry.dataset, entry.folder, entry.method && `spinal levels by method: ${entry.method}`, entry.version && `sct_rootlets ${entry.version}`];
      const said = [verdict, reviewer, (date || "").slice(0, 10), noteOf(entry)].filter(Boolean).join(" · ");
      drawPictures(entry, { stage, ...PAPER, isWide: true, isPaper: true });
      return make("section", { class: "sheet" },
        make("h2", {}, nameOf(entry)), make("p", {}, facts.filter(Boolean).join(" · ")), make("p", { class: "said" }, said),
        drawFlags(entry), drawNotes(entry), make("div", { class: "legend" }, ...legendItems(entry)), stage);
    });
    by("report").replaceChildren(...sheets);
  }

  /** Prints the scans that the table lists, or saves them as PDF, as the browser offers. */
  async function printReport() {
    drawReport(shown);
    await Promise.all(Array.from(by("report").querySelectorAll("img")).map((image) => image.decode().catch(() => null)));
    closeMenus(null);
    window.print();
  }

  // ---- export and import ----------------------------------------------------------------------------------------
  function download(name, text, type) {
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /** A cell of a table: one line, and n/a for what is not known. */
  const cell = (value) => clean(value).trim() || "n/a";
  const clean = (value) => String(value === null || value === undefined ? "" : value).replace(/[\t\r\n]+/g, " ");

  function exportTSV() {
    const keys = [...FLAGS, ...REGISTRATION];
    const head = [
      "dataset", "subject", "file", "folder", "verdict", "note", "reviewer", "date", "version", "changed_since", "kind", "id",
      ...keys.flatMap((key) => [key, `${key}_unit`, `${key}_level`, `${key}_state`]),
    ];
    const rows = entries.map((entry) => {
      const { reviewer, date, version } = verdicts[entry.id] || { version: entry.version };
      return [
        entry.dataset, entry.subject, entry.file, entry.folder, verdictOf(entry), noteOf(entry), reviewer, date, version,
        isStale(entry) ? "yes" : verdictOf(entry) ? "no" : "", entry.kind || "levels", entry.id,
        ...keys.map((key) => flagOf(entry, key)).flatMap((flag) =>
          [flag.value, flag.unit, levelText(flag.level), flag.state === "none" ? "" : flag.state]),
      ];
    });
    const lines = [head, ...rows].map((row) => row.map(cell).join("\t"));
    download("verdicts.tsv", lines.join("\n") + "\n", "text/tab-separated-values");
  }

  const levelText = (level) => (!level ? "" : level.kind === "spinal" ? level.name : `${level.kind} ${level.name}`);
  const failed = () => entries.filter((entry) => verdictOf(entry) === "fail");

  /** `exclude_list` is that of sct_run_batch -config: subjects of which a scan failed. */
  function exportJSON() {
    const subjects = [...new Set(failed().map((entry) => entry.subject).filter(Boolean))].sort();
    const rows = entries.filter((entry) => verdicts[entry.id]).map((entry) => ({
      id: entry.id, dataset: entry.dataset, subject: entry.subject, file: entry.file, folder: entry.folder,
      verdict: verdictOf(entry), note: noteOf(entry), fingerprint: verdicts[entry.id].fingerprint,
      reviewer: verdicts[entry.id].reviewer || "n/a", date: verdicts[entry.id].date || "n/a",
      version: verdicts[entry.id].version || "n/a",
      flags: Object.fromEntries(flagsOf(entry).map((key) => {
        const { value, unit, level, state, text } = flagOf(entry, key);
        return [key, { value, unit: unit || "n/a", level: levelText(level) || "n/a", state, text }];
      })),
    }));
    download("verdicts.json", JSON.stringify({ exclude_list: subjects, verdicts: rows }, null, 2) + "\n", "application/json");
  }

  /** For sct_run_batch -exclude-yml: a list of files (a text in JSON is one in YAML too). */
  function exportYML() {
    const names = [...new Set(failed().map((entry) => entry.file))].sort();
    const others = entries.filter((entry) => names.includes(entry.file) && isAmbiguous(entry) && verdictOf(entry) !== "fail");
    if (others.length) {
      const which = [...new Set(others.map((entry) => entry.file))].join(", ");
      say(`Several scans are called ${which}: exclude.yml names files, and leaves out all of them, not only those that failed.`);
    }
    download("exclude.yml", names.length ? names.map((name) => `- ${JSON.stringify(name)}\n`).join("") : "[]\n", "text/yaml");
  }

  async function importJSON(event) {
    const [chosenFile] = event.target.files;
    event.target.value = "";
    if (!chosenFile) return;
    try {
      const rows = JSON.parse(await chosenFile.text()).verdicts;
      const known = rows.filter((row) => entries.some((entry) => entry.id === row.id));
      load();
      const mine = (id) => ({ verdict: "", note: "", ...verdicts[id] });
      const taken = known.map((row) => [row.id, {
        verdict: row.verdict in VERDICTS ? row.verdict : "",
        note: clean(row.note) || mine(row.id).note, fingerprint: clean(row.fingerprint),
        ...Object.fromEntries(["reviewer", "date", "version"].map((key) => [key, row[key] === "n/a" ? "" : clean(row[key])])),
      }]);
      const others = taken.filter(([id, one]) =>
        (mine(id).verdict && mine(id).verdict !== one.verdict) || (mine(id).note && mine(id).note !== one.note));
      keep(Object.fromEntries(taken));
      drawTable();
      drawVerdict();
      const instead = others.length ? ` They replace ${others.length} other verdict${others.length === 1 ? "" : "s"} or notes.` : "";
      say(`${known.length} of ${rows.length} verdicts are of scans on this page, and were taken over.${instead}`);
    } catch (error) {
      say(`${chosenFile.name} holds no verdicts: export them as verdicts.json.`);
    }
  }

  // ---- the rest -------------------------------------------------------------------------------------------------
  function say(text) {
    by("message").hidden = false;
    by("message").textContent = text;
  }

  /** Menus are closed by a click elsewhere, and by Escape. */
  function closeMenus(except) {
    for (const menu of document.querySelectorAll(".menu[open]")) if (!except || !menu.contains(except)) menu.open = false;
  }

  function onKey(event) {
    if (event.key === "Escape") {
      closeMenus(null);
      by("message").hidden = true;
    }
    if (by("large").open) { // only what concerns the picture
      const dialog = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      const next = dialog && cutsOf(chosen)[Number(by("large").dataset.at) + dialog];
      if (next) openLarge(chosen, next.arc);
      if (event.key === "b") blink(true);
      if (event.key === "l") toggleLabels();
      return;
    }
    const isTyping = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName) && event.target.type !== "checkbox" && event.target.type !== "range";
    if (isTyping) {
      if (event.key === "Escape" || (event.key === "Enter" && event.target.tagName === "INPUT")) event.target.blur();
      return;
    }
    if (event.target.tagName === "CANVAS") { // the viewer has keys of its own
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      j: () => step(1), ArrowRight: () => step(1),
      k: () => step(-1), ArrowLeft: () => step(-1),
      p: () => judge("pass"), f: () => judge("fail"), c: () => judge("correct"), u: () => judge(""), z: undo,
      n: stepToFlagged, m: () => by("note") && by("note").focus(), l: toggleLabels, b: () => blink(true), v: () => openViewer(),
      "/": () => by("search").focus(),
    };
    if (event.target.tagName === "TR") Object.assign(actions, { ArrowDown: () => step(1), ArrowUp: () => step(-1) });
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = shown.length || key === "/" ? actions[key] : null; // without a scan there is nothing to act on
    if (!action || (event.target.type === "range" && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    action();
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
  }

  /** A preference that all pages of this browser share; empty where there is none, or the browser keeps nothing. */
  function preference(key) {
    try {
      return localStorage.getItem(key) || "";
    } catch (error) {
      return "";
    }
  }

  function prefer(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch (error) { /* it lasts as long as the page */ }
  }

  /** Scans that failed and so have no entry. */
  function drawMissing(missing) {
    const names = Object.keys(missing || {}).sort();
    by("missing").hidden = !names.length;
    const few = `${names.length} scan${names.length === 1 ? "" : "s"} could not be processed in the last run: not in the table, or as before`;
    by("missing").querySelector("summary").textContent = `✗ ${few}`;
    by("missing").querySelector("ul").replaceChildren(...names.map((name) => make("li", {}, `${name}: ${missing[name]}`)));
  }

  window.sctRootletsMissing = () => say("The list of scans (rootlets/entries.js) is missing: copy the whole folder, not the page alone.");

  window.sctRootletsEntries = (list) => {
    entries = (list.entries || []).map((entry, place) => ({ ...entry, dataset: entry.dataset || list.dataset || "", place }));
    const datasets = [...new Set(entries.map((entry) => entry.dataset))];
    by("dataset").textContent = datasets.length === 1 ? datasets[0] : "";
    hasDatasets = datasets.length > 1;
    if (list.format > FORMAT) say("This list was made by a later version; some things may not be shown.");
    if ((list.damaged || []).length) say(`Entries that cannot be read were left out: ${list.damaged.join(", ")}`);
    drawMissing(list.missing);
    load();
    drawHead();
    const wanted = location.hash.slice(1);
    drawTable();
    const addressed = shown.find((entry) => encodeURIComponent(entry.id) === wanted);
    if (addressed) choose(addressed);
    if (!entries.length) say("No scans yet: run a command with -qc and this folder.");
  };

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const usualTheme = () => {
    const kept = preference(THEME);
    return ["dark", "light"].includes(kept) ? kept : dark.matches ? "dark" : "light";
  };
  setTheme(usualTheme());
  dark.addEventListener("change", () => setTheme(usualTheme()));
  by("theme").addEventListener("click", () => {
    setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    prefer(THEME, document.documentElement.dataset.theme);
  });
  by("reviewer").value = preference(REVIEWER);
  by("reviewer").addEventListener("input", () => prefer(REVIEWER, by("reviewer").value));
  by("overview").addEventListener("toggle", drawOverview);
  by("search").addEventListener("input", drawTable);
  by("filter").addEventListener("change", () => { drawTable(); by("filter").blur(); });
  by("export-tsv").addEventListener("click", exportTSV);
  by("export-json").addEventListener("click", exportJSON);
  by("export-yml").addEventListener("click", exportYML);
  by("print").addEventListener("click", printReport);
  // Whoever prints with the browser's own key prints the scan in the panel, whose pictures are loaded.
  window.addEventListener("beforeprint", () => { if (!by("report").children.length && chosen) drawReport([chosen]); });
  window.addEventListener("afterprint", () => by("report").replaceChildren());
  by("import").addEventListener("click", () => by("import-file").click());
  by("import-file").addEventListener("change", importJSON);
  document.addEventListener("keydown", onKey);
  document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") blink(false); });
  window.addEventListener("blur", () => blink(false));
  new ResizeObserver(() => {
    if (chosen && by("stage") && !viewer && stageSize() !== drawnSize) drawStage(chosen);
  }).observe(by("scan"));
  by("message").addEventListener("click", () => { by("message").hidden = true; });
  document.addEventListener("click", (event) => { if (event.isTrusted) closeMenus(event.target); });
  window.addEventListener("storage", (event) => { // another window of this page
    if (event.key !== STORE) return;
    load(); // the list stays as it is: a scan that left it could take the keys typed into its note to another one
    shown.forEach(drawRow);
    drawCounts();
    drawVerdict();
  });
})();
