import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ChecksumName, startChecksum } from './checksums.ts'

// Check values of the catalogue of parametrised CRC algorithms and of FIPS 180, for the nine bytes `123456789`.
const catalogue: [ChecksumName, string][] = [
  ['crc32', 'cbf43926'],
  ['crc32c', 'e3069283'],
  ['crc64nvme', 'ae8b14860a799888'],
  ['sha1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
  ['sha256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
]

for (const [name, value] of catalogue) {
  test(`${name} of the check string is the published value, in one piece and in two`, () => {
    const whole = startChecksum(name)
    whole.update(Buffer.from('123456789'))
    assert.equal(whole.digest().toString('hex'), value)
    const pieces = startChecksum(name)
    pieces.update(Buffer.from('1234'))
    pieces.update(Buffer.from('56789'))
    assert.equal(pieces.digest().toString('hex'), value)
  })
}
