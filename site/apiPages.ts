/** How TypeDoc writes the pages of the API reference. */
import { type Application, Converter, DeclarationReflection, QueryType, ReferenceType, ReflectionKind } from "typedoc"
import { MarkdownTheme, MarkdownThemeContext } from "typedoc-plugin-markdown"

const nothing = () => ""

/** Leaves out what the code block of a signature says already. */
class Context extends MarkdownThemeContext {
  constructor(...options: ConstructorParameters<typeof MarkdownThemeContext>) {
    super(...options)
    Object.assign(this.partials, { signatureReturns: nothing, inheritance: nothing, hierarchy: nothing })
  }
}

class Theme extends MarkdownTheme {
  override getRenderContext(...[page]: Parameters<MarkdownTheme["getRenderContext"]>) {
    return new Context(this, page, this.application.options)
  }
}

/** What a declaration of a public module stands for, or extends, under the same name in a module of `internal/`. */
const internalOf = ({ extendedTypes = [], name, type }: DeclarationReflection): DeclarationReflection | undefined => {
  const types = type === undefined ? extendedTypes : [type]
  const targets = types
    .map((type) => type instanceof QueryType ? type.queryType : type)
    .map((type) => type instanceof ReferenceType ? type.reflection : undefined)
  return targets.find((target) => target instanceof DeclarationReflection && target.name === name) as
    | DeclarationReflection
    | undefined
}

/** The class that an error or a service extends brings these along. */
const isInherited = ({ kind, name, parent }: DeclarationReflection): boolean =>
  kind === ReflectionKind.Constructor && parent?.kind === ReflectionKind.Class ||
  kind === ReflectionKind.Accessor || name.startsWith("~") || name.startsWith("[TypeId")

export const load = (app: Application): void => {
  app.renderer.defineTheme("api", Theme)
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const all = project.getReflectionsByKind(ReflectionKind.All)
      .filter((reflection) => reflection instanceof DeclarationReflection)
    for (const declaration of all) {
      const internal = internalOf(declaration)
      if (internal?.kind === ReflectionKind.Class) {
        const { comment } = declaration
        if (comment !== undefined && comment.summary.length > 0) internal.comment = comment
        project.removeReflection(declaration)
      } else if (internal !== undefined) {
        if (internal.type !== undefined) declaration.type = internal.type
        project.removeReflection(internal)
      } else if (isInherited(declaration)) {
        project.removeReflection(declaration)
      }
    }
  })
}
