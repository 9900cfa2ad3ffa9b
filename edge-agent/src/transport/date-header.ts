/** The time of a Date header; undefined where it is none. */
export const dateOf = (text: string | null | undefined): Date | undefined => {
  const millis = Date.parse(text ?? '')
  return Number.isNaN(millis) ? undefined : new Date(millis)
}
