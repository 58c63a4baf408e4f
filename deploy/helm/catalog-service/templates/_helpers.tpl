{{/* The name of all that belongs to the release. */}}
{{- define "catalog-service.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The name of the migration: catalog-migration for the release catalog-service. */}}
{{- define "catalog-service.migration" -}}
{{ include "catalog-service.name" . | trimSuffix "-service" }}-migration
{{- end }}

{{- define "catalog-service.config" -}}
{{ include "catalog-service.name" . | trimSuffix "-service" }}-config
{{- end }}

{{- define "catalog-service.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "catalog-service.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "catalog-service.labels" -}}
app: {{ include "catalog-service.name" . }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* What the instances are found by. */}}
{{- define "catalog-service.selector" -}}
app: {{ include "catalog-service.name" . }}
component: service
{{- end }}

{{- define "catalog-service.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{- define "catalog-service.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}
