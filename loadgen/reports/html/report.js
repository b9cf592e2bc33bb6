// Wakes the charts up: unpacks plotly, which lies compressed in the page, and draws what comes into view.
// Without this, or in a browser too old for it, the page keeps its still pictures.
(function () {
  "use strict";
  var holder = document.getElementById("plotly");
  if (!holder || !("DecompressionStream" in window) || !("IntersectionObserver" in window)) return;
  var charts = JSON.parse(document.getElementById("charts").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var DASHES = { p99: "5px,3px", b: "8px,3px", c: "2px,3px", d: "8px,3px,2px,3px", e: "14px,3px", f: "1px,3px" };
  var SIGNS = { joined: "triangle-up", left: "triangle-down-open", lost: "x", retries: "circle", event: "diamond" };

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + (name === "bad" ? "wrong" : name)).trim();
  }

  function plain(text) { // plotly takes tags in texts for markup
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function pale(hex, share) {
    var n = parseInt(hex.slice(1), 16);
    return "rgba(" + [n >> 16, (n >> 8) & 255, n & 255, share].join(",") + ")";
  }

  function traces(chart) {
    var made = [];
    chart.series.forEach(function (each) {
      var c = color(each.role), unit = chart.y.label;
      var trace = { x: each.x, y: each.y, name: plain(each.name), type: "scatter", mode: "lines",
                    line: { color: c, width: 1.8, dash: DASHES[each.role] || "solid" },
                    hovertemplate: "%{y:.4~g}", connectgaps: false };
      if (each.shape === "band") { made.push(area(each, pale(c, 0.14))); return; }
      if (each.shape === "range") {
        made.push(area(each, pale(c, 0.14)));
        made.push({ x: each.x, y: each.y0, name: "fastest", type: "scatter", mode: "lines",
                    line: { width: 0, color: c }, hovertemplate: "%{y:.4~g}" });
        trace.name = "slowest"; trace.line.width = 0;
      }
      if (each.shape === "steps") {
        trace.line = { color: c, width: 0.5, shape: "hv" }; trace.fill = "tozeroy"; trace.fillcolor = pale(c, 0.7);
      }
      if (each.shape === "line" && chart.id.indexOf("curve")) dot(trace, c);
      made.push(trace);
    });
    return made.concat(signs(chart));
  }

  function dot(trace, color) { // where a line would be nothing: few points, or one between gaps
    var y = trace.y, few = y.length <= 40;
    trace.mode = "lines+markers";
    trace.marker = { color: color, line: { width: 0 }, size: y.map(function (_, i) {
      return few || (y[i - 1] == null && y[i + 1] == null) ? 4 : 0;
    }) };
  }

  function area(each, fill) { // a closed path for each stretch without a gap: plotly's own fill leaps over gaps
    var x = [], y = [], start = 0;
    for (var i = 0; i <= each.x.length; i++) {
      if (i < each.x.length && each.y[i] !== null) continue;
      if (i > start) {
        var xs = each.x.slice(start, i);
        x = x.concat(xs, xs.slice().reverse(), [null]);
        y = y.concat(each.y.slice(start, i), each.y0.slice(start, i).reverse(), [null]);
      }
      start = i + 1;
    }
    return { x: x, y: y, type: "scatter", mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: fill, hoverinfo: "skip" };
  }

  function signs(chart) {
    var kinds = {};
    chart.marks.forEach(function (mark) { (kinds[mark.sign] = kinds[mark.sign] || []).push(mark); });
    return Object.keys(kinds).map(function (kind) {
      var wrong = kind === "lost" || kind === "retries";
      return { x: kinds[kind].map(function (m) { return m.x; }), y: kinds[kind].map(function () { return 0.012; }),
               yaxis: "y2", type: "scatter", mode: "markers", name: kind, cliponaxis: false,
               text: kinds[kind].map(function (m) { return plain(m.text); }), hovertemplate: "%{text}<extra></extra>",
               marker: { symbol: SIGNS[kind], size: kind === "retries" ? 5 : 9, color: color(wrong ? "wrong" : "ink") } };
    });
  }

  function axis(described) {
    var made = { title: { text: plain(described.label), font: { size: 12 } }, type: described.log ? "log" : "linear",
                 gridcolor: color("grid"), linecolor: color("soft"), zeroline: false, automargin: true, tickangle: 0,
                 separatethousands: true, exponentformat: "none" }; // as in the still pictures
    if (described.ticks.length) {
      made.tickvals = described.ticks.map(function (t) { return t[0]; });
      made.ticktext = described.ticks.map(function (t) { return plain(t[1]); });
    }
    return made;
  }

  function layout(chart) {
    var across = axis(chart.x), up = axis(chart.y);
    across.showgrid = false; across.showline = true; across.ticks = "outside";
    across.range = chart.x.log ? chart.range[0].map(Math.log10) : chart.range[0];
    up.range = chart.y.log ? chart.range[1].map(Math.log10) : chart.range[1];
    return { xaxis: across, yaxis: up, yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
             showlegend: false, hovermode: "x unified", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
             font: { family: "system-ui, sans-serif", size: 12, color: color("soft") },
             hoverlabel: { bgcolor: color("card"), bordercolor: color("rule"), font: { color: color("ink") } },
             margin: { l: 56, r: 12, t: 10, b: 44 }, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom" };
  }

  function show(figure) {
    var chart = charts[figure.id], place = figure.querySelector(".live");
    figure.classList.add("drawn");
    window.Plotly.react(place, traces(chart), layout(chart),
                        { responsive: true, displaylogo: false, displayModeBar: false, showTips: false });
  }

  function begin() {
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (entry.isIntersecting) { seen.unobserve(entry.target); show(entry.target); }
      });
    }, { rootMargin: "300px" });
    document.querySelectorAll("figure[id]").forEach(function (figure) { if (charts[figure.id]) seen.observe(figure); });
    dark.addEventListener("change", function () { document.querySelectorAll("figure.drawn").forEach(show); });
  }

  function unpack() {
    var packed = atob(holder.textContent.trim()), bytes = new Uint8Array(packed.length);
    for (var i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    holder.remove();
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  unpack().then(function (code) {
    var script = document.createElement("script");
    script.textContent = code;
    document.head.appendChild(script);
    begin();
  });
})();
