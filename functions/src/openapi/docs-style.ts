/** The style of the page, whole: it loads nothing. */
export const docsStyle = `
:root { color-scheme: light dark; --ink: #1a2330; --soft: #5b6778; --line: #dce1e8; --back: #fff; --panel: #f6f8fa; --link: #0b5fa5;
  --get: #0b6b3a; --post: #0b5fa5; --put: #8a5a00; --delete: #a3262a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9f0; --soft: #9aa7b8; --line: #303a47; --back: #11161d; --panel: #1a212b;
  --link: #7cb8f2; --get: #5fcf93; --post: #7cb8f2; --put: #e5b454; --delete: #f08a8d; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; color: var(--ink); background: var(--back); }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; }
code, .path { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, monospace; font-size: .875em; overflow-wrap: anywhere; }
small { color: var(--soft); font-size: .8125rem; overflow-wrap: anywhere; }
.frame { display: grid; grid-template-columns: 22rem minmax(0, 1fr); max-width: 84rem; margin: 0 auto; }
nav { position: sticky; top: 0; align-self: start; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem 2rem 1.5rem; border-right: 1px solid var(--line); font-size: .875rem; }
nav h2 { margin: 1.25rem 0 .25rem; font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft); }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a { display: flex; gap: .4rem; align-items: baseline; padding: .15rem 0; color: var(--ink); }
nav .method { min-width: 2.9rem; font-size: .625rem; }
nav .path { font-size: .78125rem; }
.jump { display: none; }
main { padding: 2rem 2.5rem 4rem; min-width: 0; }
h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.2; }
main > section > h2 { margin: 3rem 0 .25rem; padding-bottom: .4rem; border-bottom: 2px solid var(--line); font-size: 1.375rem; }
.lead { margin: .25rem 0 1rem; color: var(--soft); max-width: 46rem; }
article { padding: 1.5rem 0; border-bottom: 1px solid var(--line); }
article:target > h3 { background: var(--panel); box-shadow: -.6rem 0 0 var(--panel), .6rem 0 0 var(--panel); }
h3 { display: flex; flex-wrap: wrap; gap: .35rem .75rem; align-items: baseline; margin: 0; font-size: 1rem; font-weight: 600; }
h3 .path { font-size: .9375rem; color: inherit; }
h4 { margin: 1.1rem 0 .3rem; font-size: .8125rem; color: var(--soft); font-weight: 600; }
.method { flex: none; min-width: 3.6rem; font: 700 .75rem/1.4 ui-monospace, Menlo, Consolas, monospace; letter-spacing: .03em; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .delete { color: var(--delete); }
.summary { margin: .4rem 0 .2rem; }
.access { margin: 0; color: var(--soft); font-size: .875rem; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
td, th { padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
tr:first-child > td { border-top: 0; }
td:first-child { width: 30%; }
.required { color: var(--delete); font-size: .75rem; white-space: nowrap; }
details { margin-top: .3rem; }
summary { cursor: pointer; color: var(--link); font-size: .875rem; }
details > table { margin: .4rem 0 .2rem; padding: 0; background: var(--panel); border-radius: .4rem; }
details > table td { padding-left: .75rem; }
.skip { position: absolute; left: -100vw; } .skip:focus { left: 1rem; top: 1rem; background: var(--back); padding: .5rem; }
@media (max-width: 60rem) {
  .frame { display: flex; flex-direction: column; }
  .jump { display: block; }
  nav { order: 2; position: static; height: auto; padding: 1rem 1.25rem 3rem; border: 0; border-top: 2px solid var(--line); }
  nav li a { padding: .45rem 0; }
  main { padding: 1.5rem 1.25rem 3rem; width: 100%; }
  td, th { display: block; width: auto; padding: .1rem 0; border: 0; }
  td:first-child { width: auto; padding-top: .5rem; border-top: 1px solid var(--line); }
  tr:first-child > td:first-child { border-top: 0; }
  details > table td { padding-left: .75rem; padding-right: .75rem; }
  details > table tr:last-child > td:last-child { padding-bottom: .5rem; }
}
`
