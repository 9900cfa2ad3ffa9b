import { build } from 'esbuild'

/** Bundles the node into one ESM file, so that it starts fast and ships without node_modules. */
await build({
  entryPoints: [`${import.meta.dirname}/src/main.ts`],
  outfile: `${import.meta.dirname}/dist/main.mjs`,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  sourcemap: true,
  legalComments: 'none',
  logLevel: 'warning',
  // CommonJS packages in an ESM bundle ask for `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
})
