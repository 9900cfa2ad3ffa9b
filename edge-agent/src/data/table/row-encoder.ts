import type { DataErrorCode } from '../data-error.ts'
import type { ColumnSplit } from '../declarations/common.ts'
import type { TableDeclaration } from '../declarations/dataset-declaration.ts'
import type { RowFaults } from '../row-faults.ts'
import { type Affine, affineValue } from '../rows/row-layout.ts'
import { quote } from './quote.ts'
import type { TableRow } from './table.ts'

/** Of columns in a table. */
export type Positions = {
  readonly features: readonly number[]
  readonly labels: readonly number[]
  readonly split: number | undefined
}

export type RowEncoderOptions = {
  readonly declaration: TableDeclaration
  readonly columns: readonly string[]
  readonly positions: Positions
  /** Numbers of each feature column. */
  readonly widths: readonly number[]
  readonly textual: boolean
  readonly affine: Affine
  readonly split: ColumnSplit | undefined
  readonly code: DataErrorCode
  readonly faults: RowFaults
}

const plainNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
/** Float32 counts integers up to here. */
const maxClass = 2 ** 24
/** Lists in lists. */
export const maxNesting = 8

const featureHint = 'Write numbers as 1.5 or -2e-3, and leave out lines that lack one.'
const classHint = 'If it is the name of a class, declare all classes in their order.'

/** What is wrong with a field. */
class FieldFault extends Error {}
/** A row that lacks a feature and is left out for that. */
const missing = Symbol('missing')

/** Turns rows of a table into numbers, and tells faults with line and column. */
export class RowEncoder {
  readonly #options: RowEncoderOptions
  readonly #classes: ReadonlyMap<string, number>
  readonly #missingTexts: ReadonlySet<string>
  readonly #heldOut: ReadonlySet<string>

  constructor(options: RowEncoderOptions) {
    const { classes, missingValues } = options.declaration
    this.#options = options
    this.#classes = new Map(classes?.map((name, index) => [name, index]))
    this.#missingTexts = new Set(missingValues)
    this.#heldOut = new Set(options.split?.values)
  }

  /** Fills in one example; undefined when it is left out. */
  encode(row: TableRow, features: Float32Array, labels: Float32Array): { readonly heldOut: boolean } | undefined {
    const { positions, widths, columns, declaration, code, faults } = this.#options
    let faulty = false
    const within = <Result>(position: number, read: (cell: unknown) => Result): Result | undefined => {
      try {
        return read(row.cells[position])
      } catch (error) {
        if (!(error instanceof FieldFault)) throw error
        const place = `${declaration.file}, ${row.place}, column ${quote(columns[position] ?? '')}`
        const at = `${row.place}, column ${position + 1}`
        faults.add(error.message.includes('class') ? 'LABELS_UNUSABLE' : code, place, error.message, at)
        faulty = true
        return undefined
      }
    }
    let lacks = false
    let at = 0
    for (const [index, position] of positions.features.entries()) {
      const width = widths[index] as number
      const filled = within(position, cell => this.#features(cell, features, at, width))
      if (filled === missing) lacks = true
      at += width
    }
    if (lacks && !faulty) {
      faults.skip()
      return undefined
    }
    this.#labels(labels, positions.labels, within)
    const heldOut = positions.split !== undefined && this.#heldOut.has(textOf(row.cells[positions.split]))
    return faulty ? undefined : { heldOut }
  }

  #features(cell: unknown, target: Float32Array, at: number, width: number): typeof missing | undefined {
    const { affine, declaration } = this.#options
    if (this.#isMissing(cell)) {
      if (declaration.missing === 'skip') return missing
      if (declaration.missing === 'refuse') throw new FieldFault(`nothing is there. ${featureHint}`)
      for (let index = 0; index < width; index++)
        target[at + index] = affineValue(affine, at + index, declaration.missing)
      return undefined
    }
    let filled = 0
    this.#flatten(cell, maxNesting, value => {
      if (filled < width) target[at + filled] = affineValue(affine, at + filled, value)
      if (filled < width && !Number.isFinite(target[at + filled])) throw notFloat32(String(value), featureHint)
      filled++
    })
    if (filled !== width) throw new FieldFault(`it has ${filled} numbers, the first row ${width}.`)
    return undefined
  }

  #isMissing(cell: unknown): boolean {
    return cell === null || cell === undefined || (typeof cell === 'string' && this.#missingTexts.has(cell.trim()))
  }

  #flatten(cell: unknown, depth: number, use: (value: number) => void): void {
    if (!Array.isArray(cell) && !ArrayBuffer.isView(cell)) {
      use(this.#number(cell, featureHint))
      return
    }
    if (depth === 0) throw new FieldFault(`its lists lie more than ${maxNesting} deep.`)
    for (const item of cell as Iterable<unknown>) this.#flatten(item, depth - 1, use)
  }

  #labels(
    target: Float32Array,
    positions: readonly number[],
    within: (position: number, read: (cell: unknown) => void) => unknown,
  ): void {
    const { labelKind } = this.#options.declaration
    if (labelKind === 'multi' && positions.length < target.length) {
      within(positions[0] as number, cell => this.#classSet(cell, target))
      return
    }
    for (const [index, position] of positions.entries()) {
      within(position, cell => {
        target[index] = this.#label(cell)
      })
    }
  }

  #label(cell: unknown): number {
    const { labelKind } = this.#options.declaration
    if (this.#classes.size > 0 && labelKind !== 'multi') return this.#class(cell)
    const value = this.#number(cell, labelKind === 'real' ? featureHint : classHint)
    if (labelKind === 'class' && !(Number.isInteger(value) && value >= 0 && value < maxClass))
      throw new FieldFault(`${quote(textOf(cell))} is no class; they are counted from 0.`)
    if (labelKind === 'multi' && value !== 0 && value !== 1)
      throw new FieldFault(`${quote(textOf(cell))} is neither 0 nor 1, as columns of several classes are.`)
    return value
  }

  #class(cell: unknown): number {
    const text = textOf(cell)
    const index = this.#classes.get(text)
    if (index !== undefined) return index
    throw new FieldFault(`${quote(text)} is none of the ${this.#classes.size} classes that are declared.`)
  }

  /** Several classes in one field: a list, or names with a bar between them. */
  #classSet(cell: unknown, target: Float32Array): void {
    target.fill(0)
    const names = Array.isArray(cell) ? cell : textOf(cell).split('|')
    for (const name of names) if (textOf(name) !== '') target[this.#class(name)] = 1
  }

  #number(cell: unknown, hint: string): number {
    if (typeof cell === 'number' && Number.isFinite(Math.fround(cell))) return cell
    if (typeof cell === 'boolean') return cell ? 1 : 0
    if (typeof cell === 'bigint') return Number(cell)
    const text = textOf(cell)
    if (this.#options.textual && plainNumber.test(text) && Number.isFinite(Math.fround(Number(text))))
      return Number(text)
    if (text === '') throw new FieldFault(`nothing is there. ${hint}`)
    throw notFloat32(text, hint)
  }
}

const notFloat32 = (text: string, hint: string): FieldFault =>
  new FieldFault(`${quote(text)} is no number of float32. ${hint}`)

/** Short, and never deeper than a value can be printed. */
const textOf = (cell: unknown): string => {
  if (typeof cell === 'string') return cell.trim()
  if (cell === null || cell === undefined) return ''
  return typeof cell === 'object' ? (Array.isArray(cell) ? 'a list' : 'an object') : String(cell as number)
}
