import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csv } from './csv.ts'

test('cells are separated and quoted as RFC 4180 says, and nothing is an empty cell', () => {
  const text = csv(
    ['a', 'b'],
    [
      ['plain', 1.5],
      ['with "quotes", commas', null],
      ['two\r\nlines', -2e-7],
    ],
  )
  assert.equal(text, 'a,b\r\nplain,1.5\r\n"with ""quotes"", commas",\r\n"two\r\nlines",-2e-7\r\n')
})

test('no text is a formula for a spreadsheet', () => {
  const texts = ['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '=HYPERLINK("http://x","y")', 'a=b']
  assert.equal(
    csv(
      ['=h'],
      texts.map(text => [text]),
    ),
    `'=h\r\n'=1+1\r\n'+1\r\n'-1\r\n'@SUM(A1)\r\n'\tx\r\n"'=HYPERLINK(""http://x"",""y"")"\r\na=b\r\n`,
  )
})
