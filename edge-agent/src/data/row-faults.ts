import { DataError, type DataErrorCode } from './data-error.ts'

const mostListed = 10

/** What is wrong with single rows of a data set: the first ones in words, all of them counted. */
export class RowFaults {
  readonly #messages: string[] = []
  #code: DataErrorCode | undefined
  #at: string | undefined
  #count = 0
  #skipped = 0

  /**
   * @param place file, row and column, as an editor shows them
   * @param at row and column by number alone, e.g. "line 3, column 2"
   */
  add(code: DataErrorCode, place: string, what: string, at?: string): void {
    if (this.#code === undefined) this.#at = at
    this.#code ??= code
    this.#count++
    if (this.#messages.length < mostListed) this.#messages.push(`${place}: ${what}`)
  }

  /** Counts an example that is left out because the declaration says so. */
  skip(): void {
    this.#skipped++
  }

  get skipped(): number {
    return this.#skipped
  }

  /** Throws DataError when there are any, with the code of the first. */
  throwIfAny(): void {
    const [first] = this.#messages
    if (this.#code === undefined || first === undefined) return
    if (this.#count === 1) throw new DataError(this.#code, first, { at: this.#at })
    const more = this.#count - this.#messages.length
    throw new DataError(
      this.#code,
      `${this.#count} rows or fields cannot be used:\n  ${this.#messages.join('\n  ')}${more > 0 ? `\n  and ${more} more` : ''}`,
      { at: this.#at },
    )
  }
}
