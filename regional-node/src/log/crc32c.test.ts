import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

test('CRC-32C has the check value of the catalogue, whole or in parts', () => {
  // https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-32-iscsi
  const bytes = Buffer.from('123456789')
  assert.equal(crc32c(bytes), 0xe3069283)
  assert.equal(crc32c(bytes.subarray(4), crc32c(bytes.subarray(0, 4))), 0xe3069283)
})

test('CRC-32C of 32 zero bytes is the one of RFC 3720', () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
})
