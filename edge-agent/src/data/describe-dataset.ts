import {
  type DatasetDescription,
  type DatasetSchema,
  descriptionLimits,
} from '@tributary/contracts/dataset-description'
import type { Part } from './convert/dataset-cache.ts'
import type { DatasetDeclaration } from './declarations/dataset-declaration.ts'
import type { RowHeader } from './rows/row-header.ts'

/** What the declaration of a data set lets out about it: name and counts, and what its "tell" says. */
export type DescribedDataset = DatasetDescription & { readonly heldOut: boolean; readonly examples: number }

/**
 * What the owner's declaration lets out about a part of a data set. `toldData` says what of it goes out.
 * @param header of its converted rows; schema and histogram are known once it is converted
 */
export const describeDataset = (
  declaration: DatasetDeclaration,
  part: Part,
  examples: number,
  header?: RowHeader,
): DescribedDataset => {
  const { name, heldOut, split, tell } = declaration
  const known =
    part === 'held' && split !== undefined
      ? { name: split.heldOut, heldOut: true, examples }
      : { name, heldOut, examples }
  if (header === undefined) return known
  const counts = countsOf(declaration, header)
  const tellsCounts = tell.includes('label-histogram') && counts !== undefined
  return {
    ...known,
    ...(tell.includes('schema') ? { schema: schemaOf(declaration, header) } : {}),
    ...(tellsCounts && counts.length <= descriptionLimits.classes ? { labelCounts: counts } : {}),
  }
}

const schemaOf = (declaration: DatasetDeclaration, header: RowHeader): DatasetSchema => {
  const declared = 'labelKind' in declaration ? declaration.labelKind : undefined
  const kind = declared ?? (header.integerLabels ? 'class' : 'real')
  const classNames = classNamesOf(declaration)
  const classes = classNames?.length ?? countsOf(declaration, header)?.length
  const tellsNames = declaration.tell.includes('names')
  return {
    format: declaration.format,
    shape: [...shapeOf(declaration, header)],
    dtype: header.stored,
    ...(tellsNames && areFew(header.columns) ? { columns: header.columns } : {}),
    label: {
      kind,
      size: header.labels,
      ...(classes === undefined || classes === 0 ? {} : { classes }),
      ...(tellsNames && areFew(classNames) ? { classNames } : {}),
    },
  }
}

const classNamesOf = (declaration: DatasetDeclaration): string[] | undefined =>
  'classes' in declaration ? declaration.classes : undefined

/** By class. Where none are declared, as many as the data shows. */
const countsOf = (declaration: DatasetDeclaration, { classCounts }: RowHeader): number[] | undefined => {
  if (classCounts === null) return undefined
  if (classNamesOf(declaration) !== undefined) return classCounts
  return classCounts.slice(0, classCounts.findLastIndex(count => count > 0) + 1)
}

/** Whether central takes these names: a part of them would be of little use. */
const areFew = (names: readonly string[] | null | undefined): names is string[] =>
  names != null &&
  names.length > 0 &&
  names.length <= descriptionLimits.names &&
  names.every(({ length }) => length > 0 && length <= descriptionLimits.nameLength)

const shapeOf = (declaration: DatasetDeclaration, { features }: RowHeader): readonly number[] => {
  if (declaration.format !== 'images') return [features]
  const { height, width, channels, layout } = declaration
  return layout === 'chw' ? [channels, height, width] : [height, width, channels]
}
