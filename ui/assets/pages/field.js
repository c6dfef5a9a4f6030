/* pages/field.js - one input for one setting, by its schema. */
import {h} from "../lib/dom.js";

/* o: {id, schema, hint, value, hidden, locked, bad, change(next)}; next undefined: cleared. */
export function field(o) {
    const s = o.schema, base = {id: o.id, disabled: o.locked, "aria-invalid": o.bad ? "true" : null, "aria-describedby": o.bad || null};
    const shown = (v) => (v === undefined ? "not set" : JSON.stringify(v));
    if (s.type === "boolean")
        return h("select", {...base, onchange: (e) => o.change(e.target.value === "" ? undefined : e.target.value === "true")},
            h("option", {value: "", selected: o.value === undefined}, `default${s.default === undefined ? "" : ` (${s.default ? "on" : "off"})`}`), h("option", {value: "true", selected: o.value === true}, "on"), h("option", {value: "false", selected: o.value === false}, "off"));
    if (s.enum)
        return h("select", {...base, onchange: (e) => o.change(e.target.value === "" ? undefined : e.target.value)},
            h("option", {value: "", selected: o.value === undefined}, `default${s.default === undefined ? "" : ` (${s.default})`}`), s.enum.map((x) => h("option", {value: x, selected: x === o.value}, x)));
    if (o.hint.sensitive)
        return h("input", {...base, type: "password", autocomplete: "new-password", value: "", placeholder: o.hidden ? "set; type to replace" : o.value === undefined ? "not set" : "changed",
                           onchange: (e) => e.target.value && o.change(e.target.value)});
    if (s.type === "integer" || s.type === "number")
        return h("input", {...base, type: "text", inputMode: "decimal", value: o.value === undefined ? "" : String(o.value), placeholder: s.default === undefined ? "not set" : String(s.default), onchange: (e) => {
            const t = e.target.value.trim(), n = Number(t);
            o.change(t === "" ? undefined : Number.isFinite(n) ? n : t); /* what is no number is the gateway's to refuse, with its reason */
        }});
    if (s.type === "array" && s.items?.type === "string")
        return h("textarea", {...base, rows: Math.min(6, (o.value?.length || 0) + 1), value: (Array.isArray(o.value) ? o.value : []).join("\n"), placeholder: "one a line", onchange: (e) => {
            const list = e.target.value.split("\n").map((x) => x.trim()).filter(Boolean);
            o.change(list.length ? list : undefined);
        }});
    if (s.type === "string")
        return h("input", {...base, type: "text", spellcheck: false, value: o.value ?? "", placeholder: s.default === undefined ? "not set" : String(s.default), maxLength: s.maxLength && s.maxLength < 65536 ? s.maxLength : null,
                           onchange: (e) => o.change(e.target.value === "" ? undefined : e.target.value)});
    return h("textarea", {...base, class: "mono", rows: o.value === undefined ? 1 : Math.min(10, JSON.stringify(o.value, null, 2).split("\n").length), spellcheck: false, placeholder: shown(undefined), value: o.value === undefined ? "" : typeof o.value === "string" ? o.value : JSON.stringify(o.value, null, 2), onchange: (e) => {
        const t = e.target.value.trim();
        let v = t;
        try {
            v = JSON.parse(t);
        } catch { /* a text */ }
        o.change(t === "" ? undefined : v);
    }});
}
