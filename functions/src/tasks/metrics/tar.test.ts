import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { tarOf } from './tar.ts'

const tar = (archive: Uint8Array, ...args: string[]): string =>
  execFileSync('tar', args, { input: archive, encoding: 'utf8' })

test('the system unpacks what was packed: names long and short, contents of any length', () => {
  const long = `${'folder-with-a-long-name/'.repeat(6)}${'n'.repeat(100)}`
  const files = [
    { path: 'mlruns/', content: '' },
    { path: 'mlruns/a', content: '' },
    { path: 'mlruns/übergröße', content: 'ä'.repeat(256) },
    { path: long, content: 'x'.repeat(513) },
  ]
  const archive = tarOf(files, new Date('2026-03-01T12:00:00Z'))
  assert.equal(archive.length % 512, 0)
  const listed = tar(archive, '--quoting-style=literal', '-tf', '-').trimEnd().split('\n')
  assert.deepEqual(
    listed,
    files.map(({ path }) => path),
  )
  for (const { path, content } of files.slice(1)) assert.equal(tar(archive, '-xOf', '-', path), content)
  assert.match(tar(archive, '-tvf', '-', 'mlruns/'), /^drwxr-xr-x /)
  assert.match(tar(archive, '--utc', '-tvf', '-', 'mlruns/a'), /^-rw-r--r-- 0\/0 +0 2026-03-01 12:00 mlruns\/a/)
})

test('a name that no header holds is refused', () => {
  assert.throws(() => tarOf([{ path: 'n'.repeat(101), content: '' }], new Date(0)), RangeError)
})
