import { mostLogTailBytes } from '@tributary/contracts/node-status'

const secret = '<secret>'
/** Names of variables and settings whose values are nobody's business. */
const secretName = /token|secret|passw|credential|auth|api_?key|access_?key|private/i

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [^-]{1,64}-----[\s\S]*?(?:-----END [^-]{1,64}-----|$)/g, secret],
  // A user and a password in an address.
  [/(?<=:\/\/)[^\s/@"']{1,512}@/g, `${secret}@`],
  [/\b(?:bearer|basic)\s+[\w.~+/=-]{8,}/gi, secret],
  [
    /\b([\w-]{0,64}(?:token|secret|passwd|password|credential|authorization|api[_-]?key|access[_-]?key)s?["']?\s{0,4}[:=]\s{0,4})(?:"[^"\n]*"|'[^'\n]*'|[^\s,;)}\]]+)/gi,
    `$1${secret}`,
  ],
  // JSON web tokens, and keys that show what they are.
  [/\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, secret],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\b(?:gh[pousr]|hf|sk|xox[a-z])[_-][\w-]{16,}/g, secret],
]

/** Absolute paths, quoted ones with spaces too; of the home folder; of Windows; as addresses. */
const paths: readonly RegExp[] = [
  /(["'`])(?:file:\/\/)?(?:\/|~\/|[A-Za-z]:[\\/])[^"'`\n]*\1/g,
  /(?:file:\/\/|(?<![\w…<>/.:~%)-]))(?:~?\/|[A-Za-z]:[\\/])(?![\s/])[^\s"'`<>|,;()[\]{}]+/g,
]
/** Where code is, is what a traceback is for: the name of its file stays. */
const codeFile = /[^/\\]+\.(?:py|pyc|pyx|so|ts|mts|js|mjs|cjs)\b(?:[:\d]*)/

/**
 * Text of this device as it may leave it: no absolute paths but names of files of code, no secrets that can be told as such.
 * @param known secrets, wherever they stand
 */
export const scrubLog = (text: string, known: readonly string[] = []): string => {
  let clean = text.toWellFormed().replaceAll(/[^\P{Cc}\n\t]/gu, '')
  for (const value of known) if (value !== '') clean = clean.replaceAll(value, secret)
  for (const [pattern, by] of patterns) clean = clean.replaceAll(pattern, by)
  for (const pattern of paths) clean = clean.replaceAll(pattern, (path, quote: unknown) => hidden(path, quote))
  return clean
}

const hidden = (path: string, quote: unknown): string => {
  const mark = typeof quote === 'string' && path.endsWith(quote) ? quote : ''
  const [file] = codeFile.exec(path) ?? []
  return `${mark}${file === undefined ? '<path>' : `…/${file}`}${mark}`
}

/** Values of those variables that are secret by their name; short ones would be found in every text. */
export const secretsOf = (environment: Readonly<Record<string, string>>): string[] =>
  Object.entries(environment).flatMap(([name, value]) => (secretName.test(name) && value.length >= 4 ? value : []))

/** The last whole lines that 4 KiB of UTF-8 hold; of a line that is longer its end. */
export const lastLines = (text: string): string => {
  const bytes = Buffer.from(text.trimEnd())
  if (bytes.length <= mostLogTailBytes) return bytes.toString()
  // Cut between characters: no byte in the middle of one comes first.
  let from = bytes.length - mostLogTailBytes
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from += 1
  const end = bytes.toString('utf8', from)
  const line = end.indexOf('\n')
  return line === -1 ? end : end.slice(line + 1)
}
