/** A folder's path ends with a slash and its content is empty. */
export type TarFile = { readonly path: string; readonly content: string }

const blockBytes = 512
const utf8 = new TextEncoder()

/**
 * A tar archive of small text files (POSIX.1-2017 pax, ustar interchange format). Written here since it is one header of fixed
 * fields; a library would bring streams along.
 * @param files paths relative, at most 100 bytes behind the last slash that leaves at most 155 before it
 * @throws RangeError for a path that does not fit
 */
export const tarOf = (files: readonly TarFile[], time: Date): Uint8Array => {
  const blocks = files.flatMap(({ path, content }) => {
    const bytes = utf8.encode(content)
    const padding = (blockBytes - (bytes.length % blockBytes)) % blockBytes
    return [headerOf(path, bytes.length, time), bytes, new Uint8Array(padding)]
  })
  return Buffer.concat([...blocks, new Uint8Array(2 * blockBytes)])
}

const headerOf = (path: string, size: number, time: Date): Uint8Array => {
  const header = new Uint8Array(blockBytes)
  const put = (offset: number, text: string) => header.set(utf8.encode(text), offset)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  const [prefix, name] = splitPath(path)
  put(0, name)
  const folder = path.endsWith('/')
  put(100, `${octal(folder ? 0o755 : 0o644, 7)}\0`)
  put(108, `${octal(0, 7)}\0`)
  put(116, `${octal(0, 7)}\0`)
  put(124, `${octal(size, 11)}\0`)
  put(136, `${octal(Math.floor(time.getTime() / 1000), 11)}\0`)
  // The checksum is taken with spaces in its own place.
  put(148, '        ')
  put(156, folder ? '5' : '0')
  put(257, 'ustar\x0000')
  put(345, prefix)
  const sum = header.reduce((total, byte) => total + byte, 0)
  put(148, `${octal(sum, 6)}\0 `)
  return header
}

const splitPath = (path: string): readonly [prefix: string, name: string] => {
  const length = (text: string) => utf8.encode(text).length
  if (length(path) <= 100) return ['', path]
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)]
    if (length(prefix) <= 155 && length(name) <= 100) return [prefix, name]
  }
  throw new RangeError(`no tar holds a path as long as ${path}`)
}
