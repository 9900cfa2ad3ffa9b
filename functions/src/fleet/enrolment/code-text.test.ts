import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeHash, codeHint, newCode, readCode } from './code-text.ts'

const symbols = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const mistyped = { code: 'CODE_MISTYPED' }

test('a code has five groups of five symbols that cannot be mistaken for one another, and no two are equal', () => {
  const codes = new Set(Array.from({ length: 1000 }, newCode))
  assert.equal(codes.size, 1000)
  for (const code of codes) assert.match(code, /^[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){4}$/)
})

test('every data symbol takes all 32 values equally often', () => {
  const counts = new Map<string, number>()
  const codes = Array.from({ length: 2000 }, () => newCode().replaceAll('-', '').slice(0, 22))
  for (const symbol of codes.join('')) counts.set(symbol, (counts.get(symbol) ?? 0) + 1)
  // 44 000 symbols: 1375 each, standard deviation 36.5.
  assert.equal(counts.size, 32)
  for (const [symbol, count] of counts) assert.ok(Math.abs(count - 1375) < 220, `${symbol}: ${count}`)
})

test('a code is read in either case, with spaces or without hyphens, with O for 0 and I or L for 1', () => {
  for (let left = 50; left > 0; left -= 1) {
    const code = newCode()
    const typed = code
      .toLowerCase()
      .replaceAll('-', ' ')
      .replaceAll('0', 'o')
      .replaceAll('1', left % 2 ? 'l' : 'I')
    assert.equal(readCode(typed), code)
    assert.equal(readCode(code.replaceAll('-', '')), code)
    assert.ok(code.startsWith(codeHint(code)))
    assert.equal(codeHash(readCode(typed)).toString('hex'), codeHash(code).toString('hex'))
  }
})

test('one wrong symbol or two that changed places are found but for chance, 1 of 32 768', () => {
  let missed = 0
  let tried = 0
  const try_ = (text: string, code: string) => {
    if (text === code) return
    tried += 1
    try {
      readCode(text)
      missed += 1
    } catch (error) {
      assert.equal((error as { code: string }).code, 'CODE_MISTYPED')
    }
  }
  for (let codes = 4; codes > 0; codes -= 1) {
    const code = newCode().replaceAll('-', '')
    for (let at = 0; at < code.length; at += 1) {
      for (const symbol of symbols) try_(code.slice(0, at) + symbol + code.slice(at + 1), code)
      if (at > 0) try_(code.slice(0, at - 1) + code[at] + code[at - 1] + code.slice(at + 1), code)
    }
  }
  assert.ok(tried > 3000)
  assert.ok(missed <= 2, `${missed} of ${tried}`)
})

test('what is too short, too long or of other letters is a typing error', () => {
  const code = newCode()
  for (const text of [
    '',
    '-',
    code.slice(1),
    `${code}0`,
    code.replace(/./, 'U'),
    code.replace(/./, 'é'),
    'x'.repeat(64),
  ]) {
    assert.throws(() => readCode(text), mistyped, text)
  }
})
