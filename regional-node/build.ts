import { build } from 'esbuild'

/** Bundles the node and its worker thread into one ESM file each, so that they start fast and ship without node_modules. */
await build({
  entryPoints: {
    main: `${import.meta.dirname}/src/main.ts`,
    'update-worker': `${import.meta.dirname}/src/kernels/update-worker.ts`,
  },
  outdir: `${import.meta.dirname}/dist`,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // The text of the bundle stays in memory: without what only people need it keeps 8 MB less resident. Names stay for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
  // CommonJS packages in an ESM bundle ask for `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})
