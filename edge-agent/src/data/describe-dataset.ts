import type { Part } from './convert/dataset-cache.ts'
import type { DatasetDeclaration } from './declarations/dataset-declaration.ts'
import type { RowHeader } from './rows/row-header.ts'

/** What the examples look like; no value of any of them. */
export type DatasetSchema = {
  readonly format: DatasetDeclaration['format']
  /** Sizes of one example, as a model takes it. */
  readonly shape: readonly number[]
  /** Names of the features, where the format has any. */
  readonly columns?: readonly string[]
  readonly label: {
    readonly kind: 'class' | 'real' | 'multi'
    /** Labels of one example. */
    readonly size: number
    readonly classes?: readonly string[]
  }
}

/** What is told to central about a data set: all of it, and to nobody more. */
export type DatasetDescription = {
  readonly name: string
  readonly heldOut: boolean
  readonly examples: number
  /** Where the declaration's "tell" has "schema". */
  readonly schema?: DatasetSchema
  /** Examples of each class, where "tell" has "label-histogram" and classes are declared. */
  readonly labelHistogram?: readonly number[]
}

/**
 * What would be sent about a part of a data set: name, count, and what the owner lets central know beside.
 * @param header of its converted rows; schema and histogram are known once it is converted
 */
export const describeDataset = (
  declaration: DatasetDeclaration,
  part: Part,
  examples: number,
  header?: RowHeader,
): DatasetDescription => {
  const { name, heldOut, split, tell } = declaration
  const known =
    part === 'held' && split !== undefined
      ? { name: split.heldOut, heldOut: true, examples }
      : { name, heldOut, examples }
  if (header === undefined) return known
  return {
    ...known,
    ...(tell.includes('schema') ? { schema: schemaOf(declaration, header) } : {}),
    ...(tell.includes('label-histogram') && header.classCounts !== null ? { labelHistogram: header.classCounts } : {}),
  }
}

const schemaOf = (declaration: DatasetDeclaration, header: RowHeader): DatasetSchema => {
  const classes = 'classes' in declaration ? declaration.classes : undefined
  const declared = 'labelKind' in declaration ? declaration.labelKind : undefined
  const kind = declared ?? (header.integerLabels ? 'class' : 'real')
  return {
    format: declaration.format,
    shape: shapeOf(declaration, header),
    ...(header.columns === null ? {} : { columns: header.columns }),
    label: { kind, size: header.labels, ...(classes === undefined ? {} : { classes }) },
  }
}

const shapeOf = (declaration: DatasetDeclaration, { features }: RowHeader): readonly number[] => {
  if (declaration.format !== 'images') return [features]
  const { height, width, channels, layout } = declaration
  return layout === 'chw' ? [channels, height, width] : [height, width, channels]
}
