/* pages/diff.js - what a save would change: setting by setting, or line by line. */
import {h} from "../lib/dom.js";

const LINES_MAX = 1500; /* compared line by line; above that a part is shown as replaced */

const word = (v) => (v === undefined ? "not set" : typeof v === "string" ? v : JSON.stringify(v));

/* rows: [{key, old, now}] */
export function changes(rows) {
    return h("ul", {class: "changes"}, rows.map((r) => h("li", {}, h("code", {}, r.key), h("div", {}, h("del", {}, word(r.old)), " → ", r.now === undefined ? h("ins", {}, "removed from the file") : h("ins", {}, word(r.now))))));
}

export function lineDiff(a, b) {
    const x = a.split("\n"), y = b.split("\n");
    let from = 0, endX = x.length, endY = y.length;
    while (from < endX && from < endY && x[from] === y[from]) from++;
    while (endX > from && endY > from && x[endX - 1] === y[endY - 1]) {
        endX--;
        endY--;
    }
    const n = endX - from, m = endY - from, out = [];
    if (n * m > LINES_MAX * LINES_MAX) {
        x.slice(from, endX).forEach((l) => out.push(["-", l]));
        y.slice(from, endY).forEach((l) => out.push(["+", l]));
    } else {
        const best = Array.from({length: n + 1}, () => new Uint32Array(m + 1));
        for (let i = n - 1; i >= 0; i--) for (let j = m - 1; j >= 0; j--) best[i][j] = x[from + i] === y[from + j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
        let i = 0, j = 0;
        while (i < n || j < m) {
            if (i < n && j < m && x[from + i] === y[from + j]) {
                out.push([" ", x[from + i]]);
                i++;
                j++;
            } else if (j >= m || (i < n && best[i + 1][j] >= best[i][j + 1])) out.push(["-", x[from + i++]]);
            else out.push(["+", y[from + j++]]);
        }
    }
    const lines = [...x.slice(Math.max(0, from - 3), from).map((l) => [" ", l]), ...out, ...x.slice(endX, endX + 3).map((l) => [" ", l])];
    return h("pre", {class: "diff", tabIndex: 0, role: "region", ariaLabel: "Difference"}, lines.map(([kind, l]) => h("span", {class: kind === "+" ? "t-plus" : kind === "-" ? "t-minus" : ""}, `${kind} ${l}\n`)));
}
