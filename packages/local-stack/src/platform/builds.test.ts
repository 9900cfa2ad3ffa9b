import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ensureBuilds } from './builds.ts'

const { signal } = new AbortController()
/** Bundles its one source file, or fails where that says so. */
const build = `
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
const source = readFileSync('src/main.ts', 'utf8')
if (source === 'broken') throw new Error('broken')
mkdirSync('dist', { recursive: true })
writeFileSync('dist/main.mjs', source)
`

/** A repository of three deployables that are small enough to be built in no time. */
const repository = async (): Promise<AsyncDisposable & { readonly root: string }> => {
  const root = await mkdtemp(join(tmpdir(), 'tributary-builds-'))
  for (const name of ['functions', 'regional-node', 'edge-agent']) {
    await mkdir(join(root, name, 'src'), { recursive: true })
    await writeFile(join(root, name, 'package.json'), '{ "type": "module" }')
    await writeFile(join(root, name, 'build.ts'), build)
    await writeFile(join(root, name, 'src', 'main.ts'), 'first')
  }
  await mkdir(join(root, 'functions', 'migrations'))
  await writeFile(join(root, 'functions', 'migrations', '0001-initial.sql'), 'create table a ()')
  await writeFile(join(root, 'package-lock.json'), '{}')
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}

test('bundles are built once, and again when a source file, a migration or the lockfile changes', async () => {
  await using made = await repository()
  const { root } = made
  assert.equal(await ensureBuilds(root, signal), true)
  for (const file of ['edge-agent/src/main.ts', 'functions/migrations/0002-more.sql', 'package-lock.json']) {
    assert.equal(await ensureBuilds(root, signal), false)
    await writeFile(join(root, file), 'second')
    assert.equal(await ensureBuilds(root, signal), true, file)
  }
  await writeFile(join(root, 'functions', 'src', 'main.test.ts'), 'no part of a bundle')
  assert.equal(await ensureBuilds(root, signal), false)
})

test('after a build that failed half-way nothing passes for built, also not the sources of before', async () => {
  await using made = await repository()
  const { root } = made
  await ensureBuilds(root, signal)
  const bundle = () => readFile(join(root, 'functions', 'dist', 'main.mjs'), 'utf8')
  await writeFile(join(root, 'functions', 'src', 'main.ts'), 'second')
  await writeFile(join(root, 'edge-agent', 'src', 'main.ts'), 'broken')
  await assert.rejects(ensureBuilds(root, signal), /broken/)
  for (const name of ['functions', 'edge-agent']) await writeFile(join(root, name, 'src', 'main.ts'), 'first')
  assert.equal(await ensureBuilds(root, signal), true)
  assert.equal(await bundle(), 'first')
})
