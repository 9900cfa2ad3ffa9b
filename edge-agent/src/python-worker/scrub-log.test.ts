import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastLines, scrubLog, secretsOf } from './scrub-log.ts'

/** Text, and how it leaves the device. */
const table: [string, string][] = [
  ['  File "/home/jo smith/train.py", line 3, in fit', '  File "…/train.py", line 3, in fit'],
  ['FileNotFoundError: /data/scans/patient-7.png', 'FileNotFoundError: <path>'],
  ["No such file: '/data/patient 7.csv'", "No such file: '<path>'"],
  ['read ~/notes.txt, C:\\Users\\jo\\x.csv and file:///etc/passwd', 'read <path>, <path> and <path>'],
  ['    at run (file:///opt/agent/src/run.ts:3:14)', '    at run (…/run.ts:3:14)'],
  ['epoch 3/10, 1/2 done and/or 5 it/s, a / b', 'epoch 3/10, 1/2 done and/or 5 it/s, a / b'],
  ['see https://pytorch.org/docs/stable', 'see https://pytorch.org/docs/stable'],
  ['postgres://jo:pw@host/db', 'postgres://<secret>@host/db'],
  ['HF_TOKEN=abc123 password: "open sesame", n=3', 'HF_TOKEN=<secret> password: <secret>, n=3'],
  ['Authorization: Bearer abcdefgh.ij', 'Authorization: <secret>'],
  [`key eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln and AKIA${'A'.repeat(16)}`, 'key <secret> and <secret>'],
  ['-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nafter', '<secret>\nafter'],
  ['-----BEGIN PRIVATE KEY-----\nMIIB', '<secret>'],
  ['a\u001b[31mred\0 \ud800', 'a[31mred \ufffd'],
  ['ValueError: shapes (3,4) and (5,6) differ', 'ValueError: shapes (3,4) and (5,6) differ'],
]

test('paths and secrets do not leave the device, and what a person needs does', () => {
  for (const [text, expected] of table) assert.equal(scrubLog(text), expected)
})

test('values of variables that are secret by name are found wherever they stand', () => {
  const secrets = secretsOf({ WANDB_API_KEY: 'f00dcafe', THREADS: '4', DB_PASSWORD: 'x', my_token: 'tttt' })
  assert.deepEqual(secrets, ['f00dcafe', 'tttt'])
  assert.equal(scrubLog('login with f00dcafe failed', secrets), 'login with <secret> failed')
})

test('hostile text costs time in proportion to its length', () => {
  for (const piece of ['/', 'token=', '"/', '://', 'eyJ', '-----BEGIN a-----', 'a_', 'bearer ']) {
    const long = piece.repeat(16_384 / piece.length)
    assert.ok(scrubLog(long).length <= 8 * long.length, piece)
  }
})

test('the end of a log is whole lines of at most 4 KiB, or the end of one line', () => {
  assert.equal(lastLines('a\nb\n'), 'a\nb')
  const lines = Array.from({ length: 1000 }, (_, index) => `line ${index}`)
  const end = lastLines(lines.join('\n'))
  assert.ok(end.length <= 4096 && end.length > 4080)
  assert.deepEqual(end.split('\n'), lines.slice(-end.split('\n').length))
  assert.equal(lastLines('€'.repeat(5000)), '€'.repeat(1365))
})
