/*
 * lib/chart.js - small charts of values over time: bars (stacked) and lines. Drawn for people who see and described for
 * people who do not.
 */
import {clock, h, svg} from "./dom.js";

const W = 360, H = 96;

/*
 * title, unit: words. points: [{at, values: [n, …]}] oldest first, the same step apart. kinds: [{name, color, line}].
 * say(n): a value as text.
 */
export function chart({title, points, kinds, say = String, empty = "Nothing yet"}) {
    const stacked = kinds.filter((k) => !k.line).length;
    const tops = points.map((p) => Math.max(kinds.reduce((s, k, i) => s + (k.line ? 0 : p.values[i] || 0), 0), ...kinds.map((k, i) => (k.line ? p.values[i] || 0 : 0))));
    const top = Math.max(0, ...tops);
    const total = kinds.map((k, i) => points.reduce((s, p) => s + (p.values[i] || 0), 0));
    const pick = h("p", {class: "chart-now num"});
    const rest = () => {
        pick.textContent = top ? `up to ${say(top)}` : empty;
    };
    rest();
    const plot = svg("svg", {viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img",
                             "aria-label": top ? `${title}: ${kinds.map((k, i) => (k.line ? `${k.name} up to ${say(Math.max(...points.map((p) => p.values[i] || 0)))}` : `${k.name} ${say(total[i])} in all`)).join(", ")}` : `${title}: ${empty}`});
    const step = W / Math.max(1, points.length), scale = (n) => (top ? (n / top) * (H - 8) : 0);
    for (const f of [0.5, 1]) plot.append(svg("line", {x1: 0, x2: W, y1: H - f * (H - 6), y2: H - f * (H - 6), class: "grid"}));
    if (stacked) points.forEach((p, x) => {
        let y = H;
        kinds.forEach((k, i) => {
            if (k.line || !p.values[i]) return;
            const height = Math.max(1.5, scale(p.values[i]));
            plot.append(svg("rect", {x: x * step + step * 0.12, width: step * 0.76, y: y - height, height, rx: Math.min(2, step / 4), class: `c-${k.color}`}));
            y -= height;
        });
    });
    kinds.forEach((k, i) => {
        if (!k.line || !top) return;
        let d = "", dots = "", on = false;
        points.forEach((p, x) => {
            const v = p.values[i];
            if (v === null || v === undefined) {
                on = false;
                return;
            }
            const at = `${((x + 0.5) * step).toFixed(1)} ${(H - scale(v)).toFixed(1)}`;
            d += `${on ? "L" : "M"}${at}`;
            dots += `M${at}h.01`;
            on = true;
        });
        plot.append(svg("path", {d, class: `c-${k.color} line`, "vector-effect": "non-scaling-stroke"}), svg("path", {d: dots, class: `c-${k.color} line points`, "vector-effect": "non-scaling-stroke"}));
    });
    const mark = svg("rect", {y: 0, height: H, width: step, class: "hover", visibility: "hidden"});
    plot.append(mark);
    plot.addEventListener("pointermove", (e) => {
        const box = plot.getBoundingClientRect(), x = Math.min(points.length - 1, Math.max(0, Math.floor(((e.clientX - box.left) / box.width) * points.length)));
        const p = points[x];
        if (!p) return;
        mark.setAttribute("x", x * step);
        mark.setAttribute("visibility", "visible");
        pick.textContent = `${clock(p.at, false)}  ${kinds.map((k, i) => `${k.name} ${say(p.values[i] || 0)}`).join(", ")}`;
    });
    plot.addEventListener("pointerleave", () => {
        mark.setAttribute("visibility", "hidden");
        rest();
    });
    return h("figure", {class: "chart"}, h("figcaption", {}, h("h3", {}, title), pick), plot,
        h("div", {class: "chart-foot num"}, h("span", {}, points.length ? clock(points[0].at, false) : ""),
          h("span", {class: "legend"}, kinds.length > 1 ? kinds.map((k) => h("span", {}, h("i", {class: `c-${k.color}`}), k.name)) : null),
          h("span", {}, "now")));
}
