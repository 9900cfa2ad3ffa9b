/**
 * Whether a name fits a pattern, in which `*` stands for any characters, also none; everything else stands for itself. Linear in the
 * name, unlike a regular expression: names and patterns come from outside and may hold many stars.
 */
export const fitsPattern = (pattern: string, name: string): boolean => {
  const [first = '', ...others] = pattern.split('*')
  if (!name.startsWith(first)) return false
  const last = others.pop()
  if (last === undefined) return name === first
  let at = first.length
  for (const part of others) {
    const found = name.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return name.length - last.length >= at && name.endsWith(last)
}
