/** A file that does not hold mean and variance of features. */
export class StatisticsError extends Error {
  override readonly name = 'StatisticsError'

  constructor(what: string) {
    super(`The file does not hold feature statistics: ${what}.`)
  }
}
