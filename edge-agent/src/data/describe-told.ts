import type { DatasetDescription } from '@tributary/contracts/dataset-description'

/** Lines for a person about what central is told of a data set beside its name and count. */
export const describeTold = ({ schema, labelCounts }: Omit<DatasetDescription, 'name'>): string[] => [
  ...(schema === undefined ? [] : schemaLines(schema)),
  ...(labelCounts === undefined ? [] : [`examples of each class: ${labelCounts.join(', ')}`]),
]

const schemaLines = ({ format, shape, dtype, columns, label }: NonNullable<DatasetDescription['schema']>): string[] => {
  const { kind, size, classes, classNames } = label
  const names = columns === undefined ? '' : `: ${columns.join(', ')}`
  const ofClasses = classes === undefined ? '' : ` of ${classes} classes`
  return [
    `${format}, [${shape.join(', ')}] an example, kept as ${dtype}${names}`,
    `label: ${kind}, ${size} an example${ofClasses}${classNames === undefined ? '' : `: ${classNames.join(', ')}`}`,
  ]
}
