import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packedManifest } from './packed-manifest.ts'

const workspace = {
  name: '@tributary/x',
  version: '0.1.0',
  private: true,
  exports: { './*': './src/*.ts' },
  scripts: { build: 'node build.ts' },
  dependencies: { '@tributary/tensors': '0.1.0', zod: '4.6.7' },
  devDependencies: { esbuild: '0.28.2' },
  packed: { dependencies: ['zod'], files: ['dist'], exports: { './*': './dist/*.js' }, engines: { node: '>=24' } },
}

test('a tarball names what it brings, and only dependencies that are not inside of it', () => {
  assert.deepEqual(packedManifest(workspace), {
    name: '@tributary/x',
    version: '0.1.0',
    files: ['dist'],
    exports: { './*': './dist/*.js' },
    engines: { node: '>=24' },
    dependencies: { zod: '4.6.7' },
  })
})

test('a dependency without an exact version is refused by its name', () => {
  const loose = { ...workspace, dependencies: { zod: '^4.6.7' } }
  assert.throws(() => packedManifest(loose), /exact version of zod/)
})
