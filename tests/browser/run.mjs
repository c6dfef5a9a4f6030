/*
 * tests/browser/run.mjs - the control page in a real browser, against a gateway that tests/it/serve.py started:
 *     tests/it/serve.py --build BUILD [--tls] -- node tests/browser/run.mjs [WORD]
 * Runs every exported case of cases_*.mjs whose name holds WORD; "N passed, M failed" is the last line. Pictures go to
 * the folder in BROWSER_SHOTS. With --tls those of tls_cases.mjs instead: they need a gateway that speaks TLS.
 */
import {readdirSync} from "node:fs";
import {fileURLToPath} from "node:url";
import {launch} from "./lib.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const word = process.argv[2] || "";
let passed = 0, failed = 0;
const browser = await launch();
const files = process.env.GATEWAY_URL.startsWith("wss") ? /^tls_cases\.mjs$/ : /^cases_.*\.mjs$/;
for (const file of readdirSync(here).filter((n) => files.test(n)).sort()) {
    const cases = await import(`./${file}`);
    for (const [name, run] of Object.entries(cases)) {
        const label = `${file.replace(/^cases_|_cases/, "").slice(0, -4)}.${name}`;
        if (typeof run !== "function" || !label.includes(word)) continue;
        const began = Date.now();
        try {
            await run(browser);
            passed++;
            console.log(`ok    ${label} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
        } catch (e) {
            failed++;
            console.log(`FAIL  ${label}: ${String(e.stack || e).split("\n").slice(0, 14).join("\n      ")}`);
        }
    }
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
